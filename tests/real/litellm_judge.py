"""What LiteLLM itself says of configurations: its `--validate_config`, imported once and forked for each file.

A LiteLLM takes seven seconds of a processor to import and none to judge. Each verdict still comes from a process of its own, with
an environment of its own.
"""

import json
import subprocess
import threading

FORKER = r"""
import json, os, sys, tempfile, traceback
import litellm.proxy.proxy_server
from litellm.proxy.proxy_cli import run_server
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    path, env = json.loads(line)
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            os.environ.clear()
            os.environ.update(env)
            code = 0
            try:
                run_server(["--config", path, "--validate_config"])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 70
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        print(json.dumps([code, said.read().decode("utf-8", "replace")]), file=answers, flush=True)
"""
LOCAL = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}


class Judge:
    """The LiteLLM of one Python, ready to judge; threads may share it."""

    def __init__(self, python, home):
        env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **LOCAL}
        self.turn = threading.Lock()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([str(python), "-c", FORKER], env=env, text=True, **pipes)

    def verdict(self, path, env):
        """(exit status, what it said) of one configuration."""
        with self.turn:
            try:
                self.process.stdin.write(json.dumps([str(path), {**LOCAL, **env}]) + "\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
            except BrokenPipeError:
                answer = ""
        if not answer:
            raise OSError(f"LiteLLM could not be asked about {path}")
        return tuple(json.loads(answer))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)
