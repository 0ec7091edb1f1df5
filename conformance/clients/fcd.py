"""The protocol between the conformance suite of fakeentra and a driver: a request
a line on standard input, an answer a line on standard output. All that is printed
goes to standard error, which is the log."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata


class Skip(Exception):
    """The client cannot do what it was asked for."""


def dependencies(*names):
    """Returns packages as they are installed."""
    return [{"name": name, "version": metadata.version(name)} for name in names]


def serve(hello, opened):
    """Answers requests. opened makes a client from a configuration; its methods
    token, mi_token and resource return what an outcome has."""
    answers, sys.stdout = sys.stdout, sys.stderr
    clients = {}

    def do(request):
        op = request["op"]
        if op == "hello":
            return {"protocol": 1, **hello}
        if op == "open":
            clients[request["session"]] = opened(request["config"])
            return {}
        if op == "setenv":
            os.environ.update(request["vars"])
            return {}
        if op in ("close", "stop"):
            clients.pop(request.get("session"), None)
            return {}
        method = getattr(clients[request["session"]], op, None)
        if method is None:
            raise Skip(f"the driver does not know the operation {op}")
        n = request.get("n") or 1
        with ThreadPoolExecutor(n) as callers:
            return {"results": list(callers.map(lambda i: outcome(method, caller(request, i)), range(n)))}

    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            answer["ok"] = do(request)
        except Skip as skip:
            answer["skip"] = {"reason": str(skip)}
        except Exception as error:
            answer["error"] = failure(error)
        print(json.dumps(answer), file=answers, flush=True)
        if request["op"] == "stop":
            return


def caller(request, i):
    """Returns what the i-th of several callers asks for."""
    tenants = request.get("tenants")
    return {**request, "tenant": tenants[i % len(tenants)]} if tenants else request


def outcome(method, request):
    try:
        return method(request)
    except Skip:
        raise
    except Exception as error:
        return {"error": failure(error)}


def failure(error):
    return {"kind": "other", "message": f"{type(error).__name__}: {error}"}
