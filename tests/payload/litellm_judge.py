"""What LiteLLM itself says of configurations: its `--validate_config`, imported once and forked for each file.

A LiteLLM takes seconds of a processor to import and none to judge; each verdict still comes from a process of its own.
"""
import json
import subprocess

JUDGE = r"""
import json, os, sys, tempfile
import litellm.proxy.proxy_server
from litellm.proxy.proxy_cli import run_server
verdicts = []
for path in sys.argv[1:]:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            try:
                run_server(["--config", path, "--validate_config"])
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                import traceback
                traceback.print_exc()
                code = 70
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        verdicts.append([code, said.read().decode("utf-8", "replace")])
print(json.dumps(verdicts))
"""


def verdicts(python, paths, env):
    """[(exit status, what it said)] of the files, in their order, by the LiteLLM of that Python."""
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True", **env}
    done = subprocess.run([python, "-c", JUDGE, *map(str, paths)], env=env, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(f"LiteLLM could not be asked: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])
