//! What `render` writes for a machine and for a cluster, as the plans for servers ask for it: each test reads a file by the rules of
//! its format and names the values that another part relies on.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::{World, mode};

const VALUES: &str = "\
domain: gateway.example.com
repository: Acme/gateway
replicas: 2
database: {}
redis: {}
metrics: true
allow_from: [10.0.0.0/8]
requests_per_second: 7
";
const CLUSTER: &str = "\
domain: gateway.example.com
replicas: 2
database: {host: db.example.com}
redis: {host: redis.example.com}
ingress: {class: nginx, issuer: letsencrypt}
metrics: true
allow_from: [10.0.0.0/8]
";

/// A world in which a target was rendered into `~/out`.
fn rendered(target: &str, values: &str) -> World {
    let world = World::new();
    fs::write(world.home().join("gateway.yaml"), values).unwrap();
    let _ = world.run(&["render", target, "--out", "out"]).exits(0);
    world
}

fn read(world: &World, path: &str) -> String {
    let path = world.home().join("out").join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn yaml(world: &World, path: &str) -> Value {
    serde_yaml::from_str(&read(world, path)).unwrap()
}

fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|own| own.trim() == *line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn compose_runs_the_gateway_its_stores_and_a_front() {
    let world = rendered("compose", VALUES);
    let file = yaml(&world, "compose.yaml");
    assert_eq!(file.get("version"), None, "Compose calls it obsolete");
    let names: Vec<&String> = file["services"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["litellm", "litellm-2", "nginx", "postgres", "redis"]);
    let gateway = &file["services"]["litellm"];
    let image = gateway["image"].as_str().unwrap();
    assert!(image.starts_with("${LITELLM_IMAGE:-") && image.contains(":v1.") && !image.contains("latest"));
    assert_eq!(gateway["ports"], json!(["127.0.0.1:4000:4000"]));
    assert_eq!(file["services"]["litellm-2"]["ports"], json!(["127.0.0.1:4001:4000"]));
    assert_eq!(file["services"]["nginx"]["ports"], json!(["443:443", "80:80"]));
    assert!(gateway["command"].as_array().unwrap().contains(&json!("0.0.0.0")), "inside the container only");
    assert_eq!(gateway["volumes"][0], "./config:/etc/litellm:ro");
    assert_eq!(gateway["env_file"], json!(["secrets.env"]));
    for store in ["postgres", "redis"] {
        assert_eq!(gateway["depends_on"][store]["condition"], "service_healthy");
        assert!(file["services"][store]["healthcheck"]["test"].is_array());
    }
    assert_eq!(gateway["deploy"]["resources"]["limits"]["memory"], "4096M");
    assert_eq!(gateway["logging"]["driver"], "json-file");
    assert!(read(&world, "README.md").contains("4 cores, 4 GB of memory and 20 GB of disk"));
    assert_eq!(file["volumes"], json!({ "database": {}, "redis": {} }));
}

#[test]
fn the_stores_of_compose_have_no_default_password() {
    let world = rendered("compose", VALUES);
    let file = yaml(&world, "compose.yaml");
    let (postgres, redis) = (&file["services"]["postgres"], &file["services"]["redis"]);
    assert_eq!(postgres["image"], "postgres:16-alpine");
    assert_eq!(postgres["volumes"], json!(["database:/var/lib/postgresql/data"]));
    assert_eq!(redis["image"], "redis:7-alpine");
    assert_eq!(redis["volumes"], json!(["redis:/data"]));
    for (service, name, variable) in
        [(postgres, "POSTGRES_PASSWORD", "DATABASE_PASSWORD"), (redis, "REDIS_PASSWORD", "REDIS_PASSWORD")]
    {
        let value = service["environment"][name].as_str().unwrap();
        assert!(value.starts_with(&format!("${{{variable}:?")), "{value}");
    }
    let variables = &file["services"]["litellm"]["environment"];
    assert_eq!(
        (&variables["DATABASE_HOST"], &variables["REDIS_HOST"]),
        (&json!("postgres:5432"), &json!("redis"))
    );
    assert_eq!((&variables["DATABASE_NAME"], &variables["REDIS_PORT"]), (&json!("litellm"), &json!("6379")));
    let example = read(&world, "secrets.env.example");
    has_lines(
        &example,
        &["LITELLM_MASTER_KEY=", "DATABASE_PASSWORD=", "LITELLM_SALT_KEY=", "REDIS_PASSWORD="],
    );

    let elsewhere = rendered("compose", CLUSTER);
    let file = yaml(&elsewhere, "compose.yaml");
    assert!(file["services"]["postgres"].is_null() && file.get("volumes").is_none());
    assert_eq!(file["services"]["litellm"]["environment"]["DATABASE_HOST"], "db.example.com:5432");
}

#[test]
fn several_instances_share_limits_connections_and_what_they_write() {
    let world = rendered("compose", &VALUES.replace("database: {}", "database: {connections: 12}"));
    let added = yaml(&world, "config/server.yaml");
    assert_eq!(added["general_settings"]["database_connection_pool_limit"], 12);
    assert_eq!(added["general_settings"]["use_redis_transaction_buffer"], true);
    assert_eq!(added["router_settings"]["redis_host"], "os.environ/REDIS_HOST");
    assert!(added["litellm_settings"]["callbacks"].as_array().unwrap().contains(&json!("prometheus")));
}

#[test]
fn the_level_and_the_form_of_the_log_have_a_default_and_can_be_set() {
    for (more, level, json_logs) in
        [("", "INFO", "True"), ("variables: {LITELLM_LOG: DEBUG, JSON_LOGS: \"False\"}\n", "DEBUG", "False")]
    {
        let world = rendered("systemd", &format!("{VALUES}{more}"));
        let text = read(&world, "gateway.env");
        for (name, value) in [("LITELLM_LOG", level), ("JSON_LOGS", json_logs)] {
            let line = text.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
            assert_eq!(line.split_once('=').unwrap().1.trim_matches('"'), value);
        }
    }
}

#[test]
fn the_site_is_set_up_for_language_models() {
    for (target, upstreams) in [
        ("compose", ["server litellm:4000 max_fails=0;", "server litellm-2:4000 max_fails=0;"]),
        ("systemd", ["server 127.0.0.1:4000 max_fails=0;", "server 127.0.0.1:4001 max_fails=0;"]),
    ] {
        let site = read(&rendered(target, VALUES), "nginx/gateway.conf");
        has_lines(&site, &upstreams);
        has_lines(
            &site,
            &[
                "listen 443 ssl default_server;",
                "ssl_reject_handshake on;",
                "return 444;",
                "proxy_http_version 1.1;",
                "proxy_buffering off;",
                "client_body_buffer_size 8m;",
                "proxy_read_timeout 600s;",
                "client_max_body_size 64m;",
                "location = /api/health {",
                "proxy_pass http://gateway/health/readiness;",
            ],
        );
        assert!(
            !site.contains("proxy_request_buffering off"),
            "{target}: a request that was begun could not be asked again"
        );
    }
}

#[test]
fn the_site_has_tls_limits_and_a_list_of_addresses() {
    let site = read(&rendered("systemd", VALUES), "nginx/gateway.conf");
    has_lines(
        &site,
        &[
            "server_name gateway.example.com;",
            "return 308 https://gateway.example.com$request_uri;",
            "ssl_certificate \"/opt/llm-gateway/certs/fullchain.pem\";",
            "ssl_certificate_key \"/opt/llm-gateway/certs/privkey.pem\";",
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "add_header Strict-Transport-Security \"max-age=31536000\" always;",
            "add_header X-Content-Type-Options nosniff always;",
            "limit_req_zone $binary_remote_addr zone=gateway:10m rate=7r/s;",
            "limit_req zone=gateway burst=14 nodelay;",
            "limit_req_status 429;",
            "allow 10.0.0.0/8;",
            "deny all;",
        ],
    );
    let only = read(&rendered("systemd", &format!("{VALUES}tls13_only: true\n")), "nginx/gateway.conf");
    has_lines(&only, &["ssl_protocols TLSv1.3;"]);
}

#[test]
fn a_server_has_its_directories_units_timers_and_rotation_below_one_root() {
    let world = rendered("systemd", &format!("{VALUES}server: {{root: /srv/gateway}}\n"));
    let unit = read(&world, "units/litellm-gateway@.service");
    has_lines(
        &unit,
        &[
            "WorkingDirectory=/srv/gateway/data",
            "EnvironmentFile=/srv/gateway/secrets.env",
            "ReadWritePaths=/srv/gateway/data /srv/gateway/logs",
            "StandardOutput=append:/srv/gateway/logs/gateway-%i.log",
            "MemoryMax=4096M",
            "User=llm-gateway",
        ],
    );
    assert!(unit.contains(" --host 127.0.0.1 --port %i "), "{unit}");
    let backup = read(&world, "units/llm-gateway-backup.service");
    has_lines(&backup, &["ExecStart=/srv/gateway/backup.sh", "TimeoutStartSec=600s"]);
    has_lines(&read(&world, "units/llm-gateway-backup.timer"), &["OnCalendar=daily", "Persistent=yes"]);
    let check = read(&world, "units/llm-gateway-check.service");
    has_lines(&check, &["ExecStart=/srv/gateway/backup-check.sh", "ExecStart=/srv/gateway/certificate.sh"]);
    let rotation = read(&world, "logrotate/llm-gateway");
    has_lines(&rotation, &["/srv/gateway/logs/*.log {", "daily", "rotate 14"]);
    let values = read(&world, "server.env");
    has_lines(
        &values,
        &["ROOT=/srv/gateway", "DOMAIN=gateway.example.com", "DATABASE=yes", "KEEP_BACKUPS=7"],
    );
    has_lines(&read(&world, "gateway.env"), &["LITELLM_MODE=\"PRODUCTION\""]);
}

#[test]
fn the_installer_of_a_server_makes_its_directories_and_the_second_run_nothing() {
    let world = rendered("systemd", VALUES);
    let (home, out) = (world.home(), world.home().join("out"));
    let run = |more: &[&str]| {
        let mut command = Command::new("/bin/sh");
        command
            .arg(out.join("install.sh"))
            .args(["--prefix", home.join("image").to_str().unwrap()])
            .args(more);
        let done = command.stdin(Stdio::null()).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(run(&[]).0, 2, "it asks before it changes anything");
    assert!(!home.join("image").exists());
    assert_eq!(run(&["--yes"]).0, 0);
    let root = home.join("image/opt/llm-gateway");
    for (directory, expected) in
        [("data", 0o700), ("backups/staging", 0o700), ("logs", 0o700), ("certs", 0o750), ("config", 0o755)]
    {
        assert_eq!(mode(&root.join(directory)), expected, "{directory}");
    }
    let etc = home.join("image/etc");
    for file in [
        "nginx/conf.d/llm-gateway.conf",
        "logrotate.d/llm-gateway",
        "systemd/system/litellm-gateway@.service",
    ] {
        assert!(etc.join(file).exists(), "{file}");
    }
    assert!(!etc.join("nginx/nginx.conf").exists(), "the main file of nginx is the administrator's");
    let (code, said) = run(&["--yes"]);
    assert!(code == 0 && said.contains("do nothing"), "{said}");
}

#[test]
fn a_service_leads_to_the_pods_of_the_gateway() {
    let world = rendered("kubernetes", CLUSTER);
    let (service, deployment) = (yaml(&world, "base/service.yaml"), yaml(&world, "base/deployment.yaml"));
    assert_eq!(service["spec"]["type"], "ClusterIP");
    let port = &service["spec"]["ports"][0];
    assert_eq!(
        (&port["port"], &port["targetPort"], &port["protocol"]),
        (&json!(4000), &json!("http"), &json!("TCP"))
    );
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"], json!([{ "name": "http", "containerPort": 4000 }]));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(
        (&service["spec"]["selector"], &deployment["spec"]["selector"]["matchLabels"]),
        (labels, labels)
    );
    assert!(
        labels["app.kubernetes.io/name"].is_string() && labels["app.kubernetes.io/component"] == "gateway"
    );
    assert_eq!(deployment["apiVersion"], "apps/v1");
    assert_eq!(deployment["spec"]["replicas"], 2);

    let ingress = yaml(&world, "base/ingress.yaml");
    assert_eq!(ingress["spec"]["tls"][0]["hosts"], json!(["gateway.example.com"]));
    assert_eq!(
        ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"],
        service["metadata"]["name"]
    );
    let annotations = &ingress["metadata"]["annotations"];
    assert_eq!(annotations["cert-manager.io/cluster-issuer"], "letsencrypt");
    assert_eq!(annotations["nginx.ingress.kubernetes.io/limit-rps"], "20");
    assert_eq!(annotations["nginx.ingress.kubernetes.io/whitelist-source-range"], "10.0.0.0/8");
    let health = yaml(&world, "base/ingress-health.yaml");
    assert_eq!(health["spec"]["rules"][0]["http"]["paths"][0]["path"], "/api/health");
}

#[test]
fn a_pod_gets_its_values_from_the_secret_and_starts_slowly() {
    let world = rendered("kubernetes", "resources: seed\n");
    let deployment = yaml(&world, "base/deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["requests"], json!({ "memory": "256Mi", "cpu": "250m" }));
    assert_eq!(container["resources"]["limits"], json!({ "memory": "512Mi", "cpu": "500m" }));
    let probe = |name: &str, key: &str| container[name][key].as_u64().unwrap();
    assert!(probe("startupProbe", "failureThreshold") * probe("startupProbe", "periodSeconds") >= 30);
    assert_eq!(
        (probe("livenessProbe", "initialDelaySeconds"), probe("livenessProbe", "periodSeconds")),
        (30, 15)
    );
    assert_eq!(probe("readinessProbe", "periodSeconds"), 10);
    // A zero would be a change in every `kubectl apply`, because the API server leaves it out.
    assert!(container["readinessProbe"]["initialDelaySeconds"].is_null());
    for name in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(
            probe(name, "timeoutSeconds") < probe(name, "periodSeconds") && probe(name, "periodSeconds") > 0
        );
    }
    let kustomization = yaml(&world, "base/kustomization.yaml");
    let generator = &kustomization["secretGenerator"][0];
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], generator["name"]);
    // Without a type kustomize makes an Opaque Secret, and encodes its values.
    assert_eq!((generator.get("type"), &generator["envs"]), (None, &json!(["secrets.env"])));
    assert_eq!(kustomization["namespace"], "llm-gateway");
    assert_eq!(yaml(&world, "base/namespace.yaml")["metadata"]["name"], "llm-gateway");
    assert!(read(&world, "README.md").contains("Nodes with 256Mi of memory and 250m CPU to spare"));
    let image = &kustomization["images"][0];
    assert!(image["newTag"].as_str().unwrap().starts_with("v1."), "never latest: {image}");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    let rights = ["Role", "ClusterRole", "RoleBinding"];
    for path in kustomization["resources"].as_array().unwrap() {
        let object = yaml(&world, &format!("base/{}", path.as_str().unwrap()));
        assert!(!rights.contains(&object["kind"].as_str().unwrap()), "{object}");
    }
}

#[test]
fn the_database_of_a_cluster_is_migrated_before_and_dumped_daily() {
    let world = rendered("kubernetes", CLUSTER);
    let rolling = &yaml(&world, "base/deployment.yaml")["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(*rolling, json!({ "maxUnavailable": 0, "maxSurge": 1 }));
    let migration = yaml(&world, "base/migration.yaml");
    assert_eq!((&migration["apiVersion"], &migration["kind"]), (&json!("batch/v1"), &json!("Job")));
    let container = &migration["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["python", "litellm/proxy/prisma_migration.py"]));
    let pod = &yaml(&world, "base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0];
    assert!(
        pod["env"].as_array().unwrap().contains(&json!({ "name": "DISABLE_SCHEMA_UPDATE", "value": "True" }))
    );
    let guide = read(&world, "README.md");
    let (migrates, applies) =
        (guide.find("component=migration --for").unwrap(), guide.find("rollout status").unwrap());
    assert!(migrates < applies, "{guide}");
    let dump = yaml(&world, "components/backup/cronjob.yaml");
    assert_eq!(dump["spec"]["schedule"], "17 3 * * *");
    let monitor = yaml(&world, "components/monitoring/servicemonitor.yaml");
    assert_eq!(monitor["spec"]["endpoints"][0]["interval"], "30s");
}

#[test]
fn a_release_of_helm_has_a_name_a_pinned_chart_and_a_way_back() {
    let world = rendered("helm", CLUSTER);
    let guide = read(&world, "README.md");
    for part in [
        "helm upgrade --install llm-gateway oci://ghcr.io/berriai/litellm-helm --version 1.1.3",
        "--namespace llm-gateway -f values.yaml",
        "--wait --timeout 10m --history-max 10 --rollback-on-failure",
        "helm -n llm-gateway status llm-gateway",
        "helm -n llm-gateway history llm-gateway",
        "helm -n llm-gateway rollback llm-gateway REVISION",
        "pending-upgrade",
        "last\nrevision whose status is `deployed`",
    ] {
        assert!(guide.contains(part), "no {part:?} in\n{guide}");
    }
    let values = yaml(&world, "values.yaml");
    let secrets = yaml(&world, "objects/base/kustomization.yaml");
    assert_eq!(values["environmentSecrets"][0], secrets["secretGenerator"][0]["name"]);
    assert_eq!((&values["replicaCount"], &values["service"]["type"]), (&json!(2), &json!("ClusterIP")));
    assert!(values["masterkeySecretName"].is_string() && values["ingress"]["enabled"] == true);
}

#[test]
fn the_pipeline_builds_pushes_deploys_verifies_and_reports_in_this_order() {
    let world = rendered("github-actions", VALUES);
    let flow = yaml(&world, ".github/workflows/gateway.yml");
    assert_eq!(flow["on"]["push"]["branches"], json!(["main"]));
    assert!(flow["on"]["pull_request"].is_object() && flow["on"]["workflow_dispatch"].is_object());
    let jobs = &flow["jobs"];
    for (job, needs) in [
        ("build", json!(["validate"])),
        ("deploy", json!(["build"])),
        ("verify", json!(["build", "deploy"])),
        ("rollback", json!(["deploy", "verify"])),
        ("retain", json!(["build", "deploy", "verify"])),
        ("summary", json!(["build", "deploy", "verify", "rollback"])),
    ] {
        assert_eq!(jobs[job]["needs"], needs, "{job}");
    }
    let run = |job: &str, at: usize| jobs[job]["steps"][at]["run"].as_str().unwrap_or_default().to_owned();
    let build = run("build", 1);
    for part in [
        "docker login ghcr.io",
        "--platform linux/amd64",
        "--push",
        "org.opencontainers.image.created=",
        "--tag \"$IMAGE:$COMMIT\" --tag \"$IMAGE:latest\"",
        "^sha256:[0-9a-f]{64}$",
    ] {
        assert!(build.contains(part), "no {part:?} in\n{build}");
    }
    assert!(jobs["build"]["steps"][0]["uses"].as_str().unwrap().starts_with("actions/checkout@"));
    assert_eq!(jobs["build"]["steps"][1]["env"]["TOKEN"], "${{ secrets.GITHUB_TOKEN }}");
    let steps = jobs["validate"]["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert!(
        names.contains(&"Compare the files with gateway.yaml") && names.contains(&"Check the Containerfile")
    );
}

#[test]
fn a_function_is_an_image_with_a_url_that_streams() {
    let world = rendered("lambda", "domain: gateway.example.com\n");
    let template = yaml(&world, "template.yaml");
    let function = &template["Resources"]["Gateway"]["Properties"];
    assert_eq!(
        (&function["PackageType"], &function["MemorySize"], &function["Timeout"]),
        (&json!("Image"), &json!(1024), &json!(300))
    );
    assert_eq!(function["Environment"]["Variables"], json!({ "SECRET_ARN": { "Ref": "SecretArn" } }));
    let image = read(&world, "Containerfile");
    assert!(image.contains("aws-lambda-adapter:") && image.contains("lambda-start.py"), "{image}");
    let guide = read(&world, "README.md");
    for part in ["--region us-east-1", "create-secret", "file://values.json", "Lambda allows 900 at most"] {
        assert!(guide.contains(part), "no {part:?} in\n{guide}");
    }
}

/// Names, ports, images and secrets are the same wherever they stand.
#[test]
fn all_targets_agree_and_each_explains_itself() {
    let world = rendered("all", &format!("{CLUSTER}repository: Acme/gateway\n"));
    let out = world.home().join("out");
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let is_target = path.is_dir() && !path.ends_with(".gwinstall");
        assert!(!is_target || path.join("README.md").exists(), "{}", path.display());
    }
    for (target, needs) in [
        ("systemd", "4 cores, 4 GB of memory, 50 GB of disk"),
        ("desktop", "2 cores, 2 GB of memory and 10 GB of disk"),
        ("compose", "ANTHROPIC_BASE_URL=https://gateway.example.com"),
    ] {
        assert!(read(&world, &format!("{target}/README.md")).contains(needs), "{target}");
    }
    let kustomization = yaml(&world, "kubernetes/base/kustomization.yaml");
    let (image, tag) = (&kustomization["images"][0]["name"], &kustomization["images"][0]["newTag"]);
    let named = format!("{}:{}", image.as_str().unwrap(), tag.as_str().unwrap());
    let helm = yaml(&world, "helm/values.yaml");
    assert_eq!((&helm["image"]["repository"], &helm["image"]["tag"]), (image, tag));
    let compose = yaml(&world, "compose/compose.yaml");
    assert_eq!(compose["services"]["litellm"]["image"], format!("${{LITELLM_IMAGE:-{named}}}"));
    assert!(read(&world, "github-actions/Containerfile").contains(&format!("FROM {named}\n")));
    assert_eq!(
        helm["service"]["port"],
        yaml(&world, "kubernetes/base/service.yaml")["spec"]["ports"][0]["port"]
    );
    let names = |path: &str| -> Vec<String> {
        let text = read(&world, path);
        let lines = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = lines.filter(|name| !name.starts_with('#')).collect();
        names.sort();
        names
    };
    let wanted = names("compose/secrets.env.example");
    for other in ["systemd", "kubernetes/base", "helm/objects/base"] {
        assert_eq!(names(&format!("{other}/secrets.env.example")), wanted, "{other}");
    }
    assert!(
        !wanted.iter().any(|name| name == "OPENAI_API_KEY"),
        "keys of the chosen models only: {wanted:?}"
    );
}
