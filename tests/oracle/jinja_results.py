"""What Jinja2 makes of templates, in the environment in which transformers renders chat templates.

    python jinja_results.py < jobs.json > results.json

jobs      {"now": [year, month, day, hour, minute, second], "templates": [source], "variables": [{...}],
           "cases": [[number of a template, number of variables], ...]}; "hashed": true for hashes of texts
results   one per case: the text or its SHA-256, or [kind, message] of what was raised ("TypeError", "TemplateError" for
          raise_exception); ["Slow"] for what took more than a second

With --trl it prints the templates that TRL ships instead: {file name: source}.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import os
import signal
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.simplefilter("ignore")

from transformers.utils import chat_template_utils as utils  # noqa: E402


class Slow(BaseException):
    """A template that takes too long."""


def give_up(*_):
    raise Slow


signal.signal(signal.SIGALRM, give_up)


def fix_date(now: list[int]) -> None:
    class Fixed(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(*now)

    utils.datetime = Fixed


class Templates:
    """Templates that were compiled, or what that raised."""

    def __init__(self, sources: list[str]):
        self.environment = utils._cached_compile_jinja_template("").environment
        self.compiled = [self.compile(source) for source in sources]

    def compile(self, source: str):
        try:
            return self.environment.from_string(source)
        except Exception as error:
            return error

    def render(self, index: int, variables: dict):
        template = self.compiled[index]
        try:
            if isinstance(template, Exception):
                raise template
            signal.setitimer(signal.ITIMER_REAL, 1)
            # A filter that fails may have changed them before.
            return template.render(**copy.deepcopy(variables))
        except Exception as error:
            return [type(error).__name__, str(error)]
        except Slow:
            return ["Slow"]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    if sys.argv[1:] == ["--trl"]:
        files = sorted((Path(find_spec("trl").origin).parent / "chat_templates").glob("*.jinja"))
        json.dump({file.name: file.read_bytes().decode() for file in files}, sys.stdout)
        return
    jobs = json.load(sys.stdin)
    fix_date(jobs["now"])
    templates = Templates(jobs["templates"])

    def result(template: int, variables: int):
        text = templates.render(template, jobs["variables"][variables])
        return hashlib.sha256(text.encode()).hexdigest() if jobs.get("hashed") and isinstance(text, str) else text

    json.dump([result(*case) for case in jobs["cases"]], sys.stdout)


if __name__ == "__main__":
    main()
