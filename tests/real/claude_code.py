"""The real Claude Code in a home of its own: nothing in its environment, nothing configured but what was deployed there."""

import os
import subprocess


# It tries again for three minutes where a gateway refuses or is silent.
IMPATIENT = {"CLAUDE_CODE_MAX_RETRIES": "0"}


def say(program, home, prompt, more=None, timeout=90):
    """(answered, what it printed). `claude -p PROMPT` in HOME/work; `more` is for a check that shall fail soon."""
    work = os.path.join(home, "work")
    os.makedirs(work, exist_ok=True)
    try:
        run = subprocess.run(
            [program, "-p", prompt],
            env={"HOME": home, "PATH": "/usr/bin:/bin", "TERM": "dumb", **(more or {})},
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer in {timeout} s"
    return run.returncode == 0, f"exit {run.returncode}: {(run.stdout + run.stderr).strip()}"
