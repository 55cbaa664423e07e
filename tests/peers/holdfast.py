"""Holdfast with its shipped defaults: limits, audit and cache on, `--durability full` unless the name says otherwise."""
import json
import os
import shutil

import rows
from peer import HERE, ROOT, Peer, free_port, run

LIST = "/v1/orders?status=paid&sort=-created_at&limit=20&include=customer&fields=id,status,total,created_at"
CREATE = '{"id":{seq},"customer_id":5,"status":"new","total":10,"region":"eu","created_at":"2025-11-21T00:00:00Z"}'


class Holdfast(Peer):
    name = "Holdfast"
    durability = "full"

    def binary(self):
        return os.environ.get("HOLDFAST_BINARY") or ROOT / "target" / "release" / "holdfast"

    def set_up(self):
        if not os.environ.get("HOLDFAST_BINARY"):
            run("cargo", "build", "--locked", "--profile", "bench", "--bin", "holdfast", cwd=ROOT)
        filled = self.folder / "filled"
        if filled.exists():
            return
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        rows.write_ndjson(self.folder)
        self.start()
        for entity in ("customers", "orders"):
            admin = self.token("admin")
            said = run(self.binary(), "import", entity, self.folder / f"{entity}.ndjson", "--url", self.url, "--token", admin)
            print(f"  {said.strip()}", flush=True)
        self.stop()
        filled.touch()

    def token(self, role):
        claims = ["--claim", f"region={rows.REGION}"] if role == "clerk" else []
        arguments = ["token", "--sub", "bench", "--role", role, "--expires", "24h", "--data", self.folder / "data"]
        return run(self.binary(), *arguments, *claims).strip()

    def start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        model = ["--model", HERE / "holdfast.yaml", "--data", self.folder / "data"]
        self.spawn([self.binary(), "--port", str(port), "--durability", self.durability, *model])
        self.wait("/v1/_health")
        self.headers = {"authorization": f"Bearer {self.token('clerk')}"}

    def cases(self):
        return {
            "item": ("GET", "/v1/orders/{id}", None, {"cache-control": "no-cache"}),
            "list": ("GET", LIST, None, {"cache-control": "no-cache"}),
            "cached list": ("GET", LIST, None, {}),
            "create": ("POST", "/v1/orders", CREATE, {}),
        }

    def page(self, answer):
        return answer["data"]


class HoldfastNormal(Holdfast):
    name = "Holdfast, `--durability normal`"
    durability = "normal"

    def cases(self):
        return {"create": super().cases()["create"]}
