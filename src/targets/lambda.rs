//! AWS Lambda: an image of LiteLLM behind the Lambda Web Adapter, and a SAM template with a URL that streams.
//!
//! Promise: values are fetched from Secrets Manager when an instance starts; neither the template nor the configuration of the
//! function holds one. A value of the user is in the image only: CloudFormation would act on braces in a template.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::domain::{Error, Hint, Result};

use super::readme::Guide;
use super::spec::{LIVENESS, config_path};
use super::{Spec, Target, Tree, image, scripts};

/// Passes a request of Lambda to a server in the same container.
const ADAPTER: &str = "public.ecr.aws/awsguru/aws-lambda-adapter:1.0.0";
const START: &str = "/opt/lambda-start.py";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    #[serde(rename = "AWSTemplateFormatVersion")]
    format: &'static str,
    transform: &'static str,
    description: String,
    parameters: IndexMap<&'static str, Parameter>,
    resources: IndexMap<&'static str, Resource>,
    outputs: IndexMap<&'static str, Output>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    r#type: &'static str,
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_pattern: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: &'static str,
    properties: Properties,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Properties {
    Function(Box<Function>),
    LogGroup(LogGroup),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Function {
    package_type: &'static str,
    image_uri: Ref,
    description: String,
    architectures: [&'static str; 1],
    memory_size: u32,
    timeout: u32,
    environment: Environment,
    policies: [Policy; 1],
    function_url_config: FunctionUrl,
    logging_config: Logging,
}

#[derive(Serialize)]
struct Ref {
    #[serde(rename = "Ref")]
    name: &'static str,
}

#[derive(Serialize)]
struct Environment {
    #[serde(rename = "Variables")]
    variables: BTreeMap<&'static str, Ref>,
}

/// A policy that SAM writes out.
#[derive(Serialize)]
struct Policy {
    #[serde(rename = "AWSSecretsManagerGetSecretValuePolicy")]
    read_secret: SecretArn,
}

#[derive(Serialize)]
struct SecretArn {
    #[serde(rename = "SecretArn")]
    arn: Ref,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionUrl {
    auth_type: &'static str,
    invoke_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Logging {
    log_group: Ref,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogGroup {
    retention_in_days: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    description: &'static str,
    value: Attribute,
}

#[derive(Serialize)]
struct Attribute {
    #[serde(rename = "Fn::GetAtt")]
    of: [&'static str; 2],
}

pub(super) fn render(spec: &Spec) -> Result<Tree> {
    refuse_database(spec)?;
    let mut tree = Tree::default();
    tree.commented("Containerfile", &containerfile(spec));
    tree.yaml("template.yaml", &[template(spec)])?;
    tree.program("lambda-start.py", spec.script("lambda/lambda-start.py")?);
    for file in &spec.config {
        tree.configuration(&config_path(file.name), file.bytes.clone());
    }
    tree.text(".dockerignore", "*\n!config\n!lambda-start.py\n");
    scripts::secrets(&mut tree, spec);
    tree.guide("README.md", guide(spec).text(spec));
    Ok(tree)
}

/// Each instance of a function would migrate the database and open connections of its own, for one request at a time.
fn refuse_database(spec: &Spec) -> Result<()> {
    if spec.values.database.is_none() {
        return Ok(());
    }
    Err(Error::usage(format!("{} cannot use the database of gateway.yaml", Target::Lambda))
        .because("each instance of a function serves one request and would open its own pool of connections")
        .hint(Hint::step("take database out of gateway.yaml, or render kubernetes, compose or systemd")))
}

fn containerfile(spec: &Spec) -> String {
    let port = spec.values.port;
    format!(
        "\
FROM {ADAPTER} AS adapter
FROM {image}
COPY --from=adapter /lambda-adapter /opt/extensions/lambda-adapter
COPY --chmod=0755 lambda-start.py {START}
{lines}ENV HOME=/tmp AWS_LWA_PORT={port} AWS_LWA_READINESS_CHECK_PATH={ready} AWS_LWA_INVOKE_MODE=response_stream
# A start takes longer than the 10 seconds that Lambda gives it before the first request.
ENV AWS_LWA_ASYNC_INIT=true
ENTRYPOINT [\"python3\", \"{START}\"]
{command}",
        image = spec.image,
        lines = image::lines(spec),
        ready = LIVENESS.path,
        command = image::command(spec),
    )
}

fn template(spec: &Spec) -> Template {
    let parameter =
        |description, allowed_pattern| Parameter { r#type: "String", description, allowed_pattern };
    let arn = Some("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$");
    Template {
        format: "2010-09-09",
        transform: "AWS::Serverless-2016-10-31",
        description: format!("{}: LiteLLM {} for Claude Code", spec.values.name, spec.litellm),
        parameters: IndexMap::from([
            ("ImageUri", parameter("The image in ECR, by its digest: REPOSITORY@sha256:…", None)),
            ("SecretArn", parameter("The secret in Secrets Manager that holds the values as JSON", arn)),
        ]),
        resources: IndexMap::from([
            ("Gateway", Resource { r#type: "AWS::Serverless::Function", properties: function(spec) }),
            (
                "GatewayLogs",
                Resource {
                    r#type: "AWS::Logs::LogGroup",
                    properties: Properties::LogGroup(LogGroup { retention_in_days: 14 }),
                },
            ),
        ]),
        outputs: IndexMap::from([(
            "GatewayUrl",
            Output {
                description: "The value of ANTHROPIC_BASE_URL, without the slash at its end",
                value: Attribute { of: ["GatewayUrl", "FunctionUrl"] },
            },
        )]),
    }
}

fn function(spec: &Spec) -> Properties {
    let reference = |name| Ref { name };
    Properties::Function(Box::new(Function {
        package_type: "Image",
        image_uri: reference("ImageUri"),
        description: format!("Configuration {} of gwinstall, preset {}", spec.version, spec.preset),
        architectures: ["x86_64"],
        memory_size: spec.values.lambda.memory,
        timeout: spec.values.lambda.timeout,
        environment: Environment { variables: BTreeMap::from([("SECRET_ARN", reference("SecretArn"))]) },
        policies: [Policy { read_secret: SecretArn { arn: reference("SecretArn") } }],
        // LiteLLM asks for its key; IAM would need a signature that Claude Code does not make.
        function_url_config: FunctionUrl { auth_type: "NONE", invoke_mode: "RESPONSE_STREAM" },
        logging_config: Logging { log_group: reference("GatewayLogs") },
    }))
}

fn guide<'a>(spec: &Spec) -> Guide<'a> {
    let (name, region) = (&spec.values.name, &spec.values.lambda.region);
    let (memory, timeout) = (spec.values.lambda.memory, spec.values.lambda.timeout);
    let google = if spec.google {
        "\n- `GOOGLE_CREDENTIALS_JSON` in the secret: the text of the key file of a service account that may call Vertex AI."
    } else {
        ""
    };
    Guide {
        title: "The gateway in AWS Lambda",
        about: format!(
            "\
LiteLLM in a container image behind the Lambda Web Adapter, with a function URL that streams, in {region}: {memory} MiB, {timeout} seconds.

What to know before you choose it:

- An answer ends after {timeout} seconds (Lambda allows 900 at most). API Gateway ends one after 29 seconds and a load balancer does not
  stream: that is why there is a function URL.
- Each request at the same time has an instance of its own, and the first request of an instance waits for the start of LiteLLM
  (5 to 10 seconds, more with a large image).
- The function runs without a database, so it has no virtual keys, budgets or spend. `LITELLM_MASTER_KEY` alone guards its public URL.
- A request is 6 MB at most; an answer is 20 MB at most (a quota of the account)."
        ),
        prerequisites: format!(
            "\
- The AWS CLI and the SAM CLI, logged in; Docker or podman; a repository in ECR.
- `secrets.env`, filled in: `gwinstall render secrets --out .`.{google}"
        ),
        deploy: deploy(name, region),
        verify: "\
```sh
curl -fsS -m 60 \"${URL%/}/health/liveliness\"      # URL: the output GatewayUrl of the stack
```

Claude Code: `ANTHROPIC_BASE_URL` is that address without the slash, `ANTHROPIC_AUTH_TOKEN` the value of `LITELLM_MASTER_KEY`."
            .to_owned(),
        roll_back: "`sam deploy` again with the digest of the image before; CloudFormation returns by itself where an update fails."
            .to_owned(),
        back_up: "There is nothing to back up: configuration and image are made from this directory.".to_owned(),
        rotate_a_key: format!(
            "\
`aws secretsmanager put-secret-value --secret-id {name} --secret-string file://values.json`, then deploy again: a running instance keeps
the values that it started with."
        ),
        upgrade: "Render again with a newer gwinstall, build, push, and deploy the new digest.".to_owned(),
    }
}

fn deploy(name: &str, region: &str) -> String {
    format!(
        "\
The values go into one secret, from a file and not from an argument:

```sh
umask 077
python3 - secrets.env >values.json <<'END'
import json, sys
lines = (line.strip() for line in open(sys.argv[1], encoding=\"utf-8\"))
pairs = (line.split(\"=\", 1) for line in lines if line and not line.startswith(\"#\"))
json.dump({{name: value.strip(\"'\\\"\") for name, value in pairs if value}}, sys.stdout)
END
aws secretsmanager create-secret --region {region} --name {name} --secret-string file://values.json
rm values.json
```

Then the image and the stack. REGISTRY is ACCOUNT.dkr.ecr.{region}.amazonaws.com:

```sh
aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin \"$REGISTRY\"
docker build --platform linux/amd64 --provenance=false -t \"$REGISTRY/{name}:1\" -f Containerfile .
docker push \"$REGISTRY/{name}:1\"
sam deploy --region {region} --stack-name {name} --template-file template.yaml --capabilities CAPABILITY_IAM \\
  --parameter-overrides ImageUri=\"$REGISTRY/{name}@$DIGEST\" SecretArn=\"$ARN\"     # DIGEST: what push printed
```"
    )
}
