"""Directus on SQLite, in production mode, without telemetry and WebSockets."""
import os
import shutil
import sqlite3

import rows
from peer import Peer, free_port, run

DIRECTUS, SQLITE, NODE = "directus@11.16.1", "sqlite3@5.1.7", "node@22.23.3"
LIST = ("/items/orders?filter%5Bstatus%5D%5B_eq%5D=paid&sort=-created_at&limit=20"
        "&fields=id,status,total,created_at,customer.id,customer.name,customer.region")
CREATE = '{"customer":5,"status":"new","total":10,"region":"eu","created_at":"2025-11-21T00:00:00Z"}'
TOKEN = "token-of-the-clerk-000000000"
ADMIN = {"email": "admin@example.com", "password": "password"}
KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}, "meta": {}}


class Directus(Peer):
    name = "Directus 11.16"
    differs = "no limiter; its activity log is written for changes"
    settings = {"CACHE_ENABLED": "false"}

    def home(self):
        return self.folder.parent / "directus"

    def environment(self, **more):
        home = self.home()
        node = home / "node_modules" / "node" / "bin"
        data = home / "data"
        return {
            **os.environ, "PATH": f"{node}:{os.environ['PATH']}", "DB_CLIENT": "sqlite3",
            "DB_FILENAME": str(data / f"{self.settings['CACHE_ENABLED']}.db"), "HOST": "127.0.0.1", "SECRET": "a" * 40,
            "ADMIN_EMAIL": ADMIN["email"], "ADMIN_PASSWORD": ADMIN["password"], "TELEMETRY": "false", "LOG_LEVEL": "warn",
            "WEBSOCKETS_ENABLED": "false", "STORAGE_LOCAL_ROOT": str(data / "uploads"), "EXTENSIONS_PATH": str(data / "extensions"),
            "CACHE_STORE": "memory", "NODE_ENV": "production", **self.settings, **more,
        }

    def install(self):
        """Node comes from the registry too, because Directus asks for one version of it."""
        home = self.home()
        if (home / "installed").exists():
            return
        (home / "package.json").write_text('{"name":"peer","private":true}')
        run("npm", "install", NODE, cwd=home)
        node = (home / "node_modules" / "node" / "bin" / "node").resolve().parents[1]
        environment = self.environment(npm_config_nodedir=str(node))
        run("npm", "install", DIRECTUS, SQLITE, "--ignore-scripts", cwd=home, env=environment)
        run("npm", "rebuild", "isolated-vm", "sqlite3", cwd=home, env=environment)
        (home / "installed").touch()

    def set_up(self):
        self.install()
        data = self.home() / "data"
        if (data / "true.db").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        for folder in ("uploads", "extensions"):
            (data / folder).mkdir(parents=True)
        run("node", "node_modules/directus/cli.js", "bootstrap", cwd=self.home(), env=self.environment())
        self.start()
        self.headers = {}
        admin = self.must("POST", "/auth/login", ADMIN)["data"]["access_token"]
        self.headers = {"authorization": f"Bearer {admin}"}
        self.model()
        self.stop()
        self.fill(data / "false.db")
        shutil.copy(data / "false.db", data / "true.db")

    def model(self):
        def field(name, kind):
            return {"field": name, "type": kind, "schema": {}, "meta": {}}
        customer = [KEY, field("name", "string"), field("email", "string"), field("region", "string"), field("active", "boolean")]
        order = [KEY, field("customer", "integer"), field("status", "string"), field("region", "string"), field("total", "float"),
                 field("margin", "float"), field("created_at", "string")]
        for name, fields in (("customers", customer), ("orders", order)):
            self.must("POST", "/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
        relation = {"collection": "orders", "field": "customer", "related_collection": "customers", "schema": {"on_delete": "SET NULL"}}
        self.must("POST", "/relations", {**relation, "meta": {}})
        role = self.must("POST", "/roles", {"name": "clerk"})["data"]["id"]
        policy = {"name": "clerk", "app_access": False, "admin_access": False, "roles": [{"role": role, "sort": 1}]}
        policy = self.must("POST", "/policies", policy)["data"]["id"]
        own = {"region": {"_eq": "$CURRENT_USER.location"}}
        seen = ["id", "customer", "status", "region", "total", "created_at"]
        for collection, action, fields, rule, validation in (
            ("orders", "read", seen, own, None),
            ("orders", "create", seen[1:], {}, {"total": {"_gte": 0}}),
            ("customers", "read", ["id", "name", "region", "active"], {"active": {"_eq": True}}, None),
        ):
            permission = {"policy": policy, "collection": collection, "action": action, "fields": fields, "permissions": rule}
            self.must("POST", "/permissions", {**permission, "validation": validation, "presets": None})
        clerk = {"email": "clerk@example.com", "password": "password", "role": role, "token": TOKEN, "location": rows.REGION}
        self.must("POST", "/users", clerk)

    @staticmethod
    def fill(path):
        customers, orders = rows.generated()
        with sqlite3.connect(path) as database:
            database.executemany("insert into customers(id,name,email,region,active) values(:id,:name,:email,:region,:active)", customers)
            columns = "id,customer,status,region,total,margin,created_at"
            values = ":id,:customer_id,:status,:region,:total,:margin,:created_at"
            database.executemany(f"insert into orders({columns}) values({values})", orders)
            database.execute("create index o1 on orders(region,status,created_at)")
            database.execute("create index o2 on orders(customer)")

    def start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = self.environment(PORT=str(port), PUBLIC_URL=self.url)
        node = self.home() / "node_modules" / "node" / "bin" / "node"
        self.spawn([node, "node_modules/directus/cli.js", "start"], cwd=self.home(), env=environment)
        self.wait("/server/ping", 300)
        self.headers = {"authorization": f"Bearer {TOKEN}"}

    def cases(self):
        item = ("GET", "/items/orders/{id}", None, {})
        return {"item": item, "list": ("GET", LIST, None, {}), "create": ("POST", "/items/orders", CREATE, {})}

    def item(self, answer):
        return answer["data"]

    def page(self, answer):
        return answer["data"]

    def created(self, answer):
        return answer["data"]["id"]


class DirectusCached(Directus):
    """A copy of the data behind its own cache, emptied by every write."""

    name = "Directus 11.16, cached"
    settings = {"CACHE_ENABLED": "true", "CACHE_AUTO_PURGE": "true", "CACHE_TTL": "10m"}

    def set_up(self):
        pass  # Directus's

    def cases(self):
        return {"cached list": ("GET", LIST, None, {})}
