"""Django REST framework on PostgreSQL: gunicorn with as many processes as there are cores, 8 threads each."""
import os

from peer import HERE, Peer, free_port, installed, run

PACKAGES = ["django==5.2.*", "djangorestframework==3.18.*", "gunicorn==23.*", "psycopg[binary]==3.*"]
LIST = "/orders?status=paid&limit=20"
CREATE = '{"customer":5,"status":"new","total":10,"region":"eu","created_at":"2025-11-21T00:00:00Z"}'


class Drf(Peer):
    name = "DRF 3.18 + PostgreSQL 15"
    differs = "no limiter, no audit trail; the cache is each process's own and stays stale for its 600 s"

    def __init__(self, folder, postgres):
        super().__init__(folder)
        self.postgres = postgres

    def environment(self, **more):
        place = {"PEER_SOCKET": str(self.postgres.socket), "PEER_PORT": self.postgres.port, "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **place, **more}

    def set_up(self):
        commands = installed(self.folder, *PACKAGES)
        filled = self.folder / "filled"
        if filled.exists():
            return
        with self.postgres:
            self.postgres.create("drf")
            run(commands / "python", "seed.py", HERE, cwd=HERE / "drf", env=self.environment())
        filled.touch()

    def start(self):
        commands = installed(self.folder, *PACKAGES)
        self.postgres.start()
        self.headers = {"authorization": "Token token-of-the-clerk"}
        self.url = self.gunicorn(commands)

    def gunicorn(self, commands, **more):
        port = free_port()
        workers = ["-w", str(os.cpu_count()), "-k", "gthread", "--threads", "8", "--keep-alive", "30"]
        arguments = [commands / "gunicorn", *workers, "-b", f"127.0.0.1:{port}", "--log-level", "warning", "wsgi:application"]
        self.spawn(arguments, cwd=HERE / "drf", env=self.environment(**more))
        self.url = f"http://127.0.0.1:{port}"
        self.wait("/orders/4")
        return self.url

    def measured(self):
        return [*super().measured(), self.postgres.pid()]

    def stop(self):
        super().stop()
        self.postgres.stop()

    def cases(self):
        return {"item": ("GET", "/orders/{id}", None, {}), "list": ("GET", LIST, None, {}), "create": ("POST", "/orders", CREATE, {})}


class DrfCached(Drf):
    """The same data behind Django's cache of pages."""

    name = "DRF 3.18 + PostgreSQL 15, cached"

    def set_up(self):
        pass  # Drf's

    def gunicorn(self, commands, **more):
        return super().gunicorn(commands, CACHE="1", **more)

    def cases(self):
        return {"cached list": ("GET", LIST, None, {})}
