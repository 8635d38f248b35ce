"""What a team's own applications are written in, and what follows from that: ports, probes, settings, commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluicegate.data.k8s.grammar.words import Words

Settings = tuple[tuple[str, Words], ...]
Command = tuple[Words, Words]
"""Command and arguments; either may be empty."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A language with its framework.

    Args:
        roles: what such a program is, after its subject: `checkout-api`.
        ports: that it listens on; the first ones are drawn most.
        live, ready: HTTP paths of its probes; empty: it answers gRPC or TCP alone.
        settings: variables and values that only this stack has.
        commands: that start it; drawn only where the image's own start is not good enough.
        scratch: folders that it writes to.
        static: whether it only hands out files, and so has no secrets and knows no stores.
        slow: whether it starts so slowly that people give it a startup probe.
        tall: place in MEMORIES that its requests lie around.
    """

    roles: Words
    ports: tuple[int, ...]
    live: Words
    ready: Words
    settings: Settings
    commands: tuple[Command, ...]
    scratch: Words = ("/tmp",)  # noqa: S108 (a path in the container)
    slow: bool = False
    static: bool = False
    tall: int = 6


SERVERS: Final[tuple[Stack, ...]] = (
    Stack(
        ("api", "service", "server", "gateway", "proxy", "backend"), (8080, 8080, 8081, 9090, 8000, 80),
        ("/healthz", "/livez", "/health"), ("/readyz", "/healthz", "/ready"),
        (("GOMAXPROCS", ("1", "2", "4")), ("GOGC", ("50", "100", "200")), ("GOMEMLIMIT", ("200MiB", "450MiB")),
         ("HTTP_ADDR", (":8080", "0.0.0.0:8080")), ("READ_TIMEOUT", ("5s", "15s"))),
        ((("/app/server",), ("--log-level=info",)), (("/server",), ("serve",)),
         ((), ("--config=/etc/app/config.yaml",)),
         ((), ("--port=8080", "--log-format=json"))), tall=4,
    ),
    Stack(
        ("api", "web", "bff", "graphql", "service", "backend"), (3000, 3000, 8080, 4000, 3001),
        ("/health", "/healthz", "/status"), ("/ready", "/health", "/healthz"),
        (("NODE_ENV", ("production", "staging", "development")), ("PORT", ("3000", "8080", "4000")),
         ("NODE_OPTIONS", ("--max-old-space-size=384", "--max-old-space-size=768")),
          ("UV_THREADPOOL_SIZE", ("8", "16"))),
        ((("node", "server.js"), ()), (("npm", "run", "start:prod"), ()), (("node",), ("dist/main.js",))), tall=7,
    ),
    Stack(
        ("api", "service", "backend", "predictor", "admin"), (8000, 8000, 5000, 8080),
        ("/health", "/healthz", "/api/health"), ("/ready", "/health", "/api/ready"),
        (("WEB_CONCURRENCY", ("2", "4", "8")), ("PYTHONUNBUFFERED", ("1",)), ("UVICORN_LOG_LEVEL", ("info", "warning")),
         ("GUNICORN_TIMEOUT", ("30", "60", "120"))),
        ((("uvicorn",), ("app.main:app", "--host", "0.0.0.0", "--port", "8000")),  # noqa: S104 (in the container)
         (("gunicorn", "app.wsgi:application"), ("--workers", "4", "--bind", ":8000"))), tall=8,
    ),
    Stack(
        ("web", "admin", "backend", "portal"), (8000, 8000, 8080), ("/healthz/", "/health/", "/ht/"),
        ("/healthz/", "/ready/"),
        (("DJANGO_SETTINGS_MODULE", ("config.settings.production", "app.settings")), ("DJANGO_DEBUG", ("false", "0")),
         ("DJANGO_ALLOWED_HOSTS", ("*", ".example.com")), ("CONN_MAX_AGE", ("60", "600"))),
        ((("gunicorn", "config.wsgi"), ("--bind=0.0.0.0:8000",)), (("daphne",), ("-p", "8000", "config.asgi:app"))),
        tall=8,
    ),
    Stack(
        ("api", "service", "gateway", "backend", "server"), (8080, 8080, 8081, 9000),
        ("/actuator/health/liveness", "/actuator/health"), ("/actuator/health/readiness", "/actuator/health"),
        (("SPRING_PROFILES_ACTIVE", ("prod", "staging", "kubernetes")),
         ("JAVA_TOOL_OPTIONS", ("-XX:MaxRAMPercentage=75", "-Xmx512m", "-Xms256m -Xmx1g")),
         ("SERVER_PORT", ("8080", "8081")), ("MANAGEMENT_ENDPOINTS_WEB_EXPOSURE_INCLUDE", ("health,prometheus",)),
         ("SPRING_JPA_HIBERNATE_DDL_AUTO", ("validate", "none"))),
        ((("java", "-jar", "/app/app.jar"), ()), (("java",), ("-XX:+UseG1GC", "-jar", "app.jar"))), slow=True, tall=12,
    ),
    Stack(
        ("api", "service", "backend"), (8080,), ("/q/health/live",), ("/q/health/ready",),
        (("QUARKUS_PROFILE", ("prod", "staging")), ("QUARKUS_HTTP_PORT", ("8080",)),
         ("QUARKUS_DATASOURCE_JDBC_MAX_SIZE", ("16", "32"))),
        (((), ("-Dquarkus.http.host=0.0.0.0",)),), tall=9,
    ),
    Stack(
        ("api", "service", "web", "identity"), (8080, 80, 5000), ("/healthz", "/health/live"),
         ("/healthz", "/health/ready"),
        (("ASPNETCORE_ENVIRONMENT", ("Production", "Staging")), ("ASPNETCORE_URLS", ("http://+:8080", "http://+:80")),
         ("DOTNET_gcServer", ("0", "1"))),
        ((("dotnet",), ("App.dll",)),), tall=9,
    ),
    Stack(
        ("web", "app", "admin", "api"), (3000, 3000, 8080), ("/up", "/healthz"), ("/up", "/ready"),
        (("RAILS_ENV", ("production", "staging")), ("RAILS_LOG_TO_STDOUT", ("true", "1")),
         ("RAILS_MAX_THREADS", ("3", "5", "10")), ("RAILS_SERVE_STATIC_FILES", ("true",))),
        ((("bundle", "exec", "puma"), ("-C", "config/puma.rb")), (("bin/rails", "server"), ("-b", "0.0.0.0"))),  # noqa: S104
        ("/app/tmp", "/app/log"), slow=True, tall=10,
    ),
    Stack(
        ("web", "cms", "portal"), (80, 8080, 9000), ("/", "/health"), ("/", "/health"),
        (("APP_ENV", ("production", "staging")), ("APP_DEBUG", ("false", "0")), ("PHP_MEMORY_LIMIT", ("128M", "256M")),
         ("OPCACHE_ENABLE", ("1",))),
        ((("apache2-foreground",), ()),), ("/tmp", "/var/run/apache2"), tall=7,  # noqa: S108
    ),
    Stack(
        ("api", "edge", "server", "resolver"), (8080, 3000, 7878), ("/healthz", "/live"), ("/healthz", "/ready"),
        (("RUST_LOG", ("info", "warn", "debug")), ("RUST_BACKTRACE", ("0", "1")), ("BIND_ADDR", ("0.0.0.0:8080",))),
        ((("/usr/local/bin/app",), ("serve",)),), tall=3,
    ),
    Stack(
        ("web", "realtime", "chat", "api"), (4000,), ("/health", "/healthz"), ("/health", "/ready"),
        (("PHX_HOST", ("app.example.com", "example.org")), ("PHX_SERVER", ("true",)), ("POOL_SIZE", ("10", "20")),
         ("RELEASE_DISTRIBUTION", ("name", "none"))),
        ((("bin/app",), ("start",)),), tall=7,
    ),
    Stack(
        ("frontend", "ui", "web", "spa", "landing"), (80, 8080, 80), ("/", "/healthz"), ("/", "/healthz"),
        (("API_URL", ("/api", "https://api.example.com")), ("NGINX_WORKER_PROCESSES", ("1", "2", "auto")),
         ("BACKEND_HOST", ("api", "backend", "gateway"))),
        ((("nginx",), ("-g", "daemon off;")),), ("/var/cache/nginx", "/var/run"), tall=2, static=True,
    ),
    Stack(
        ("frontend", "web", "storefront", "shop"), (3000,), ("/api/health", "/"), ("/api/health", "/"),
        (("NEXT_PUBLIC_API_URL", ("https://api.example.com", "/api")), ("NODE_ENV", ("production",)),
         ("NEXT_TELEMETRY_DISABLED", ("1",)), ("HOSTNAME", ("0.0.0.0",))),  # noqa: S104
        ((("node", "server.js"), ()), (("npm", "start"), ())), ("/tmp", "/app/.next/cache"), tall=8,  # noqa: S108
    ),
    Stack(
        ("service", "engine", "core", "lookup", "backend"), (50051, 50051, 9090, 6565, 8980), (), (),
        (("GRPC_PORT", ("50051", "9090")), ("GRPC_MAX_MESSAGE_SIZE", ("4194304", "16777216")),
         ("KEEPALIVE_TIME", ("30s", "2h"))),
        ((("/app/server",), ("--grpc-port=50051",)), ((), ("--enable-reflection",))), tall=5,
    ),
)  # fmt: skip
"""Programs that listen."""
WORKERS: Final[tuple[Stack, ...]] = (
    Stack(
        ("worker", "tasks", "scheduler"), (), (), (),
        (("CELERY_BROKER_URL", ("redis://redis:6379/0", "amqp://rabbitmq:5672")),
         ("CELERY_CONCURRENCY", ("2", "4", "8")),
         ("CELERY_QUEUES", ("default", "default,high", "emails"))),
        ((("celery", "-A", "app", "worker"), ("--loglevel=info",)), (("celery",), ("-A", "app", "worker", "-c", "4")),
         (("celery", "-A", "app", "worker"), ("--concurrency=2", "--queues=default"))), tall=8,
    ),
    Stack(
        ("consumer", "processor", "publisher", "relay", "listener"), (), (), (),
        (("CONSUMER_GROUP", ("main", "v1", "live")), ("MAX_IN_FLIGHT", ("10", "50", "100")),
         ("POLL_INTERVAL", ("1s", "5s", "30s")), ("GOMAXPROCS", ("1", "2"))),
        ((("/app/consumer",), ("--topic=events",)), ((), ("consume", "--workers=4")), (("/worker",), ())), tall=5,
    ),
    Stack(
        ("worker", "jobs", "mailer"), (), (), (),
        (("RAILS_ENV", ("production", "staging")), ("SIDEKIQ_CONCURRENCY", ("5", "10", "25")),
         ("MALLOC_ARENA_MAX", ("2",))),
        ((("bundle", "exec", "sidekiq"), ()), (("bundle", "exec", "sidekiq"), ("-q", "default", "-q", "mailers"))),
        ("/app/tmp",), tall=10,
    ),
    Stack(
        ("worker", "indexer", "scheduler", "crawler"), (), (), (),
        (("NODE_ENV", ("production", "staging")), ("CONCURRENCY", ("1", "5", "10")),
         ("QUEUE_PREFIX", ("bull", "jobs"))),
        ((("node", "worker.js"), ()), (("npm", "run", "worker"), ()), (("node",), ("dist/worker.js", "--verbose"))),
         tall=7,
    ),
    Stack(
        ("sync", "ingest", "importer", "etl"), (), (), (),
        (("PYTHONUNBUFFERED", ("1",)), ("CHUNK_SIZE", ("500", "1000", "5000")),
         ("SOURCE_URL", ("https://feed.example.com",))),
        ((("python", "-m", "app.ingest"), ()), (("python",), ("worker.py", "--interval", "60"))), tall=9,
    ),
)  # fmt: skip
"""Programs that take work from a queue or a source and listen to nobody."""
