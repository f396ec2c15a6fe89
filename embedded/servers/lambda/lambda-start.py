#!/usr/bin/env python3
"""Starts LiteLLM in AWS Lambda with the values of one secret of Secrets Manager.

Promises: a value is neither in the template nor in the configuration of the function, where everyone who may read the function
could see it. Google's login goes into a file below /tmp, which only this instance of the function has.
"""

import json
import os
import sys
from pathlib import Path

GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
GOOGLE_JSON = "GOOGLE_CREDENTIALS_JSON"


def fetch(arn):
    """The values by their names."""
    import boto3  # noqa: PLC0415  # The image of LiteLLM has it; the tests have not.

    text = boto3.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    values = json.loads(text)
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("it is not a JSON object of texts")
    return values


def environment(values, given, directory):
    """The environment of LiteLLM: a value of the secret wins over one of the image."""
    joined = dict(given)
    joined.update({name: value for name, value in values.items() if value and name != GOOGLE_JSON})
    google = values.get(GOOGLE_JSON)
    if google:
        file = Path(directory) / "google-credentials.json"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(google)
        joined[GOOGLE] = str(file)
    return joined


def main(arguments):
    arn = os.environ.get("SECRET_ARN", "")
    try:
        values = fetch(arn)
    except Exception as error:  # Whatever the reason: without its values LiteLLM must not start.
        # A text of the error could hold what was read.
        sys.exit(f"cannot read the secret {arn}: {type(error).__name__}")
    if not values.get("LITELLM_MASTER_KEY", "").startswith("sk-"):
        sys.exit(f"the secret {arn} holds no LITELLM_MASTER_KEY that begins with sk-")
    os.execvpe("litellm", ["litellm", *arguments], environment(values, os.environ, "/tmp"))  # noqa: S108


if __name__ == "__main__":
    main(sys.argv[1:])
