"""Well-known images and how people run them: ports, probes, folders, users, settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluicegate.data.k8s.grammar.words import Words

GENERIC: Final = frozenset(("server", "all-in-one"))
"""Last parts of images that say nothing."""


@dataclass(frozen=True, slots=True)
class Software:
    """A well-known image.

    Args:
        image: without a tag.
        tags: that it is run with.
        ports: name → number; the first is the one that matters.
        use: what it is for, after its subject: `the orders database`.
        probe: an HTTP path, a command (starts with `$ `), or empty for a TCP check.
        data: folder that must outlive the pod; empty where there is none.
        scratch: folders that it writes to at run time.
        env: plain settings and values that they take.
        secrets: variable → key in the Secret.
        config: file that is mounted from a ConfigMap; empty where there is none.
        lines: of that file, some of which are written.
        args: that it is started with, or none.
        uid: the user that it can run as; 0: it needs root.
        host: folders of the node that it reads, `/var/log`; empty where it needs none.
        fits: of a sidecar, the tier that it stands beside; `logs` beside programs that write some; empty: any.
        tall: place in MEMORIES that its requests lie around.
    """

    image: str
    tags: Words
    ports: tuple[tuple[str, int], ...]
    use: str
    probe: str = ""
    data: str = ""
    scratch: Words = ("/tmp",)  # noqa: S108 (a path in the container)
    env: tuple[tuple[str, Words], ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    config: str = ""
    lines: Words = ()
    args: tuple[Words, ...] = ()
    uid: int = 1000
    host: Words = ()
    fits: str = ""
    tall: int = 5

    @property
    def name(self) -> str:
        """The last part of the image's name, as objects are called after it.

        >>> Software("oliver006/redis_exporter", (), (), "").name
        'redis-exporter'
        """
        *path, last = self.image.split("/")
        return (path[-1] if path and last in GENERIC else last).replace("_", "-")


def _s(image: str, tags: str, ports: str, use: str, probe: str = "", **more: object) -> Software:
    numbered = tuple((name, int(number)) for name, number in (port.split(":") for port in ports.split()))
    return Software(image, tuple(tags.split()), numbered, use, probe, **more)  # type: ignore[arg-type]


_NGINX: Final = (
    "server {\n  listen 80;\n  location / {\n    root /usr/share/nginx/html;\n  }\n}\n",
    "server {\n  listen 80;\n  location / {\n    proxy_pass http://backend:8080;\n  }\n}\n",
    "server {\n  listen 80;\n  client_max_body_size 20m;\n  location / {\n    proxy_pass http://api:3000;\n  }\n}\n",
    "upstream app {\n  server app:8000;\n  keepalive 16;\n}\nserver {\n  listen 80;\n  location / {\n"
    "    proxy_pass http://app;\n  }\n}\n",
    "server {\n  listen 80;\n  gzip on;\n  location / {\n    try_files $uri /index.html;\n  }\n}\n",
)
_PROMETHEUS: Final = (
    "global:\n  scrape_interval: 15s\nscrape_configs:\n- job_name: self\n  static_configs:\n"
    "  - targets: [localhost:9090]\n",
    "global:\n  scrape_interval: 30s\n  evaluation_interval: 30s\nscrape_configs:\n- job_name: pods\n"
    "  kubernetes_sd_configs:\n  - role: pod\n",
    "global:\n  scrape_interval: 1m\nrule_files:\n- /etc/prometheus/rules/*.yml\nscrape_configs:\n- job_name: node\n"
    "  static_configs:\n  - targets: [node-exporter:9100]\n",
)
_OTEL: Final = (
    "receivers:\n  otlp:\n    protocols:\n      grpc:\nexporters:\n  debug: {}\nservice:\n  pipelines:\n    traces:\n"
    "      receivers: [otlp]\n      exporters: [debug]\n",
    "receivers:\n  otlp:\n    protocols:\n      grpc:\n      http:\nprocessors:\n  batch: {}\nexporters:\n  otlp:\n"
    "    endpoint: tempo:4317\nservice:\n  pipelines:\n    traces:\n      receivers: [otlp]\n"
    "      processors: [batch]\n      exporters: [otlp]\n",
)
STATELESS: Final[tuple[Software, ...]] = (
    _s("nginx", "1.25 1.25.3 1.27-alpine 1.26.2 1.27.2-alpine-slim", "http:80", "website", "/", uid=101, tall=2,
       scratch=("/var/cache/nginx", "/var/run"), config="/etc/nginx/conf.d/default.conf", lines=_NGINX),
    _s("nginxinc/nginx-unprivileged", "1.25-alpine 1.27 1.27.2", "http:8080", "website", "/", uid=101, tall=2),
    _s("httpd", "2.4 2.4.62 2.4-alpine", "http:80", "website", "/", scratch=("/usr/local/apache2/logs",), uid=33,
       tall=3),
    _s("caddy", "2 2.8 2.8.4-alpine", "http:80 https:443", "web server", "/", scratch=("/data", "/config"), tall=2,
       config="/etc/caddy/Caddyfile", lines=(":80 {\n  root * /srv\n  file_server\n}\n",
                                            ":80 {\n  reverse_proxy app:8080\n}\n",
                                            ":80 {\n  encode gzip\n  reverse_proxy /api/* api:3000\n}\n")),
    _s("haproxy", "2.9 3.0 3.0.5-alpine", "http:80 stats:8404", "load balancer", "/", uid=99, tall=3,
       config="/usr/local/etc/haproxy/haproxy.cfg",
       lines=("defaults\n  mode http\n  timeout connect 5s\nfrontend web\n  bind :80\n  default_backend app\n"
              "backend app\n  server app1 app:8080 check\n",
              "global\n  maxconn 2000\ndefaults\n  mode tcp\n  timeout client 30s\nlisten db\n  bind :80\n"
              "  server db1 postgres:5432 check\n")),
    _s("envoyproxy/envoy", "v1.30.4 v1.31.2 v1.31-latest", "http:10000 admin:9901", "edge proxy", "/ready", uid=101,
       args=(("-c", "/etc/envoy/envoy.yaml"), ("--log-level", "warn", "-c", "/etc/envoy/envoy.yaml"))),
    _s("traefik", "v2.11 v3.1 v3.1.6", "web:80 admin:8080", "ingress proxy", "/ping", uid=65532, tall=4,
       args=(("--ping=true", "--entrypoints.web.address=:80"),
       ("--api.insecure=true", "--providers.kubernetesingress"))),
    _s("memcached", "1.6 1.6.31-alpine 1.6.29", "memcache:11211", "cache", uid=11211, tall=4,
       args=(("-m", "64"), ("-m", "256", "-c", "2048"), ("--memory-limit=512", "--conn-limit=1024"))),
    _s("grafana/grafana", "10.4.2 11.2.0 11.3.1", "http:3000", "dashboards", "/api/health",
       scratch=("/var/lib/grafana",),
       env=(("GF_SERVER_ROOT_URL", ("https://grafana.example.com", "https://metrics.example.org")),
            ("GF_AUTH_ANONYMOUS_ENABLED", ("false", "true")), ("GF_LOG_LEVEL", ("warn", "info")),
            ("GF_USERS_ALLOW_SIGN_UP", ("false",))),
       secrets=(("GF_SECURITY_ADMIN_PASSWORD", "admin-password"),), uid=472),
    _s("prom/alertmanager", "v0.26.0 v0.27.0", "web:9093", "alert router", "/-/healthy", scratch=("/alertmanager",),
       config="/etc/alertmanager/config.yml", uid=65534, tall=3,
       lines=("route:\n  receiver: team\n  group_wait: 30s\nreceivers:\n- name: team\n",
              "global:\n  resolve_timeout: 5m\nroute:\n  receiver: ops\n  repeat_interval: 4h\n"
              "receivers:\n- name: ops\n")),
    _s("prom/blackbox-exporter", "v0.24.0 v0.25.0", "http:9115", "uptime checks", "/-/healthy", uid=65534, tall=2,
       config="/etc/blackbox_exporter/config.yml",
       lines=("modules:\n  http_2xx:\n    prober: http\n    timeout: 5s\n",
              "modules:\n  tcp:\n    prober: tcp\n  http_2xx:\n    prober: http\n    timeout: 10s\n")),
    _s("otel/opentelemetry-collector", "0.104.0 0.109.0 0.111.0", "otlp:4317 otlp-http:4318", "trace collector", "",
       config="/etc/otelcol/config.yaml", lines=_OTEL, uid=10001),
    _s("jaegertracing/all-in-one", "1.58 1.60 1.62.0", "query:16686 collector:14268", "tracing backend", "/", uid=10001,
       env=(("COLLECTOR_OTLP_ENABLED", ("true",)), ("MEMORY_MAX_TRACES", ("10000", "50000")))),
    _s("quay.io/keycloak/keycloak", "24.0 25.0.6 26.0.1", "http:8080", "identity provider", "/health", tall=12,
       args=(("start",), ("start-dev",), ("start", "--optimized")),
       env=(("KC_PROXY", ("edge",)), ("KC_DB", ("postgres",)), ("KC_HEALTH_ENABLED", ("true",)),
            ("KC_HOSTNAME", ("login.example.com", "sso.example.org")), ("KC_DB_URL_HOST", ("postgres", "keycloak-db"))),
       secrets=(("KEYCLOAK_ADMIN_PASSWORD", "admin-password"), ("KC_DB_PASSWORD", "db-password"))),
    _s("ghost", "5 5.94-alpine 5.96.0", "http:2368", "blog", "/", data="/var/lib/ghost/content",
       env=(("NODE_ENV", ("production",)), ("url", ("https://blog.example.com", "https://news.example.org")))),
    _s("wordpress", "6.6-apache 6.6.2 6.7-php8.3", "http:80", "blog", "/", data="/var/www/html", uid=33,
       env=(("WORDPRESS_DB_HOST", ("mysql", "mariadb", "wordpress-db")), ("WORDPRESS_DB_NAME", ("wordpress", "blog")),
            ("WORDPRESS_TABLE_PREFIX", ("wp_",))),
       secrets=(("WORDPRESS_DB_PASSWORD", "password"),)),
    _s("metabase/metabase", "v0.50.10 v0.51.1", "http:3000", "reporting tool", "/api/health", uid=2000, tall=13,
       env=(("MB_DB_TYPE", ("postgres",)), ("MB_DB_HOST", ("postgres", "metabase-db")),
       ("JAVA_OPTS", ("-Xmx1g", "-Xmx2g"))),
       secrets=(("MB_DB_PASS", "password"),)),
    _s("adminer", "4.8.1 4-standalone", "http:8080", "database console", "/", tall=2,
       env=(("ADMINER_DEFAULT_SERVER", ("postgres", "mysql")), ("ADMINER_DESIGN", ("pepa-linha", "nette")))),
    _s("registry", "2 2.8.3", "registry:5000", "image registry", "/", data="/var/lib/registry",
       env=(("REGISTRY_STORAGE_DELETE_ENABLED", ("true",)), ("REGISTRY_LOG_LEVEL", ("info", "warn")))),
    _s("n8nio/n8n", "1.60.1 1.63.4", "http:5678", "workflow tool", "/healthz", data="/home/node/.n8n", tall=9,
       env=(("N8N_PROTOCOL", ("https",)), ("N8N_HOST", ("flows.example.com",)),
       ("GENERIC_TIMEZONE", ("Europe/Berlin", "UTC"))),
       secrets=(("N8N_ENCRYPTION_KEY", "encryption-key"),)),
    _s("mailhog/mailhog", "v1.0.1", "smtp:1025 http:8025", "mail catcher", "/", tall=2,
       env=(("MH_STORAGE", ("memory", "maildir")), ("MH_HOSTNAME", ("mail.example.test",)))),
    _s("oliver006/redis_exporter", "v1.62.0 v1.63.0-alpine", "metrics:9121", "redis metrics", "/health", uid=59000,
       tall=1,
       env=(("REDIS_ADDR", ("redis://redis:6379", "redis://cache:6379")),)),
    _s("hashicorp/http-echo", "0.2.3 1.0", "http:5678", "echo server", "/", tall=0,
       args=(("-text=hello",), ("-text=hello world", "-listen=:5678"))),
    _s("tomcat", "9.0 10.1-jre17 10.1.28", "http:8080", "application server", "/", tall=11,
       scratch=("/usr/local/tomcat/temp", "/usr/local/tomcat/work"),
       env=(("CATALINA_OPTS", ("-Xmx512m", "-Xms256m -Xmx1g")),)),
    _s("apache/superset", "4.0.2 4.1.0", "http:8088", "analytics tool", "/health", tall=12,
       env=(("SUPERSET_LOAD_EXAMPLES", ("no",)), ("REDIS_HOST", ("redis",)), ("DB_HOST", ("postgres", "superset-db"))),
       secrets=(("SUPERSET_SECRET_KEY", "secret-key"),)),
    _s("bitnami/phppgadmin", "7.14.7", "http:8080", "database console", "/", uid=1001, tall=4,
       env=(("DATABASE_HOST", ("postgres", "db")), ("DATABASE_SSL_MODE", ("require", "disable")))),
    _s("vaultwarden/server", "1.31.0 1.32.3", "http:8080", "password manager", "/alive", data="/data", tall=4,
       env=(("ROCKET_PORT", ("8080",)), ("SIGNUPS_ALLOWED", ("false",)), ("DOMAIN", ("https://vault.example.com",))),
       secrets=(("ADMIN_TOKEN", "admin-token"),)),
)  # fmt: skip
STATEFUL: Final[tuple[Software, ...]] = (
    _s("postgres", "14 15.4 16 16.4-alpine 17.0", "postgres:5432", "database", "$ pg_isready -U postgres",
       data="/var/lib/postgresql/data", scratch=("/var/run/postgresql", "/tmp"), uid=999, tall=10,  # noqa: S108
       env=(("PGDATA", ("/var/lib/postgresql/data/pgdata",)), ("POSTGRES_DB", ("app", "main", "core")),
            ("POSTGRES_USER", ("app", "postgres", "svc"))),
       secrets=(("POSTGRES_PASSWORD", "password"),),
       args=(("-c", "max_connections=200"), ("-c", "shared_buffers=256MB"))),
    _s("mysql", "8.0 8.4 8.0.39", "mysql:3306", "database", "$ mysqladmin ping -h 127.0.0.1", data="/var/lib/mysql",
       scratch=("/var/run/mysqld", "/tmp"), uid=999, tall=11,  # noqa: S108
       env=(("MYSQL_DATABASE", ("app", "main", "core")), ("MYSQL_USER", ("app", "svc"))),
       secrets=(("MYSQL_ROOT_PASSWORD", "root-password"), ("MYSQL_PASSWORD", "password")),
       config="/etc/mysql/conf.d/my.cnf",
       lines=("[mysqld]\nmax_connections = 200\n", "[mysqld]\nslow_query_log = 1\nlong_query_time = 2\n",
              "[mysqld]\ninnodb_buffer_pool_size = 512M\ncharacter-set-server = utf8mb4\n")),
    _s("mariadb", "10.11 11.4 11.5.2", "mysql:3306", "database", "$ healthcheck.sh --connect --innodb_initialized",
       data="/var/lib/mysql", scratch=("/run/mysqld", "/tmp"), uid=999, tall=10,  # noqa: S108
       env=(("MARIADB_DATABASE", ("app", "main")), ("MARIADB_AUTO_UPGRADE", ("1",))),
       secrets=(("MARIADB_ROOT_PASSWORD", "root-password"),)),
    _s("mongo", "6.0 7.0 7.0.14", "mongo:27017", "document store",
       "$ mongosh --quiet --eval 'db.runCommand({ping: 1})'", data="/data/db", uid=999, tall=11,
       env=(("MONGO_INITDB_ROOT_USERNAME", ("admin", "root")), ("MONGO_INITDB_DATABASE", ("app", "main"))),
       secrets=(("MONGO_INITDB_ROOT_PASSWORD", "password"),), args=(("--wiredTigerCacheSizeGB", "1"), ("--quiet",))),
    _s("redis", "6.2 7.2 7.4-alpine 7.2.5", "redis:6379", "cache", "$ redis-cli ping", data="/data", uid=999, tall=6,
       args=(("redis-server", "--appendonly", "yes"), ("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"),
             ("redis-server", "--save", "60", "1"))),
    _s("valkey/valkey", "7.2 8.0 8.0.1-alpine", "valkey:6379", "cache", "$ valkey-cli ping", data="/data", uid=999,
       args=(("valkey-server", "--appendonly", "yes"), ("--maxmemory", "512mb"))),
    _s("rabbitmq", "3.12-management 3.13 4.0-management", "amqp:5672 management:15672", "message broker",
       "$ rabbitmq-diagnostics -q ping", data="/var/lib/rabbitmq", uid=999, tall=11,
       env=(("RABBITMQ_DEFAULT_USER", ("app", "admin")), ("RABBITMQ_DEFAULT_VHOST", ("/", "main"))),
       secrets=(("RABBITMQ_DEFAULT_PASS", "password"), ("RABBITMQ_ERLANG_COOKIE", "erlang-cookie"))),
    _s("nats", "2.10 2.10.20-alpine", "client:4222 monitor:8222", "message bus", "", data="/data/jetstream", tall=4,
       args=(("-js", "-sd", "/data/jetstream"), ("--jetstream", "--http_port=8222"))),
    _s("bitnami/kafka", "3.7.1 3.8.0", "kafka:9092 controller:9093", "event log", "", data="/bitnami/kafka", uid=1001,
       env=(("KAFKA_CFG_PROCESS_ROLES", ("controller,broker",)), ("KAFKA_CFG_NUM_PARTITIONS", ("3", "6", "12")),
            ("KAFKA_CFG_LOG_RETENTION_HOURS", ("24", "72", "168")), ("KAFKA_HEAP_OPTS", ("-Xmx1g -Xms1g", "-Xmx2g"))),
       tall=14),
    _s("zookeeper", "3.8 3.9.2", "client:2181 server:2888 election:3888", "coordination service", "", data="/data",
       env=(("ZOO_4LW_COMMANDS_WHITELIST", ("ruok", "*")), ("ZOO_TICK_TIME", ("2000",)),
            ("ZOO_AUTOPURGE_PURGEINTERVAL", ("1", "12"))), tall=10),
    _s("docker.elastic.co/elasticsearch/elasticsearch", "8.13.4 8.15.2", "http:9200 transport:9300", "search index",
       "/_cluster/health", data="/usr/share/elasticsearch/data", tall=16,
       env=(("discovery.type", ("single-node",)), ("ES_JAVA_OPTS", ("-Xms1g -Xmx1g", "-Xms512m -Xmx512m")),
            ("xpack.security.enabled", ("false", "true")), ("cluster.name", ("logs", "search")))),
    _s("opensearchproject/opensearch", "2.15.0 2.17.1", "http:9200 transport:9300", "search index", "", tall=16,
       data="/usr/share/opensearch/data",
       env=(("discovery.type", ("single-node",)), ("OPENSEARCH_JAVA_OPTS", ("-Xms1g -Xmx1g", "-Xms2g -Xmx2g"))),
       secrets=(("OPENSEARCH_INITIAL_ADMIN_PASSWORD", "admin-password"),)),
    _s("prom/prometheus", "v2.53.2 v2.54.1 v3.0.0", "web:9090", "metrics store", "/-/healthy", data="/prometheus",
       config="/etc/prometheus/prometheus.yml", lines=_PROMETHEUS, uid=65534, tall=12,
       args=(("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.retention.time=15d"),
             ("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus",
              "--web.enable-lifecycle"))),
    _s("grafana/loki", "2.9.10 3.1.1 3.2.0", "http:3100 grpc:9095", "log store", "/ready", data="/loki", uid=10001,
       tall=9,
       args=(("-config.file=/etc/loki/local-config.yaml",), ("-config.file=/etc/loki/local-config.yaml",
       "-target=all"))),
    _s("influxdb", "2.7 2.7.10-alpine", "http:8086", "time series database", "/health", data="/var/lib/influxdb2",
       env=(("DOCKER_INFLUXDB_INIT_BUCKET", ("metrics", "telemetry")), ("DOCKER_INFLUXDB_INIT_ORG", ("ops", "main")),
            ("INFLUXD_REPORTING_DISABLED", ("true",))),
       secrets=(("DOCKER_INFLUXDB_INIT_ADMIN_TOKEN", "admin-token"),), tall=9),
    _s("clickhouse/clickhouse-server", "24.3 24.8 24.8.4-alpine", "http:8123 native:9000", "analytics database",
       "/ping",
       data="/var/lib/clickhouse", scratch=("/var/log/clickhouse-server", "/tmp"), uid=101, tall=15,  # noqa: S108
       env=(("CLICKHOUSE_DB", ("events", "metrics")), ("CLICKHOUSE_USER", ("app", "default"))),
       secrets=(("CLICKHOUSE_PASSWORD", "password"),)),
    _s("cassandra", "4.1 5.0", "cql:9042 intra-node:7000", "wide-column store", "$ nodetool status", tall=16, uid=999,
       data="/var/lib/cassandra",
       env=(("CASSANDRA_CLUSTER_NAME", ("main", "events")), ("MAX_HEAP_SIZE", ("512M", "1G", "2G")),
            ("CASSANDRA_DC", ("dc1", "eu-1")))),
    _s("quay.io/minio/minio", "RELEASE.2024-08-17T01-24-54Z RELEASE.2024-10-02T17-50-41Z", "api:9000 console:9001",
       "object store", "/minio/health/live", data="/data", args=(("server", "/data", "--console-address", ":9001"),),
       env=(("MINIO_ROOT_USER", ("admin", "minio")), ("MINIO_PROMETHEUS_AUTH_TYPE", ("public",))),
       secrets=(("MINIO_ROOT_PASSWORD", "root-password"),), tall=11),
    _s("hashicorp/vault", "1.16 1.17.5", "http:8200 internal:8201", "secret store", "/v1/sys/health?standbyok=true",
       data="/vault/data", uid=100, tall=8, args=(("server",), ("server", "-config=/vault/config")),
       env=(("VAULT_ADDR", ("http://127.0.0.1:8200",)), ("VAULT_LOG_LEVEL", ("info", "warn")),
       ("SKIP_SETCAP", ("true",)))),
    _s("hashicorp/consul", "1.18 1.19.2", "http:8500 dns:8600", "service registry", "/v1/status/leader", uid=100,
       data="/consul/data", args=(("agent", "-server", "-ui"), ("agent", "-server", "-bootstrap-expect=3")), tall=6,
       env=(("CONSUL_HTTP_ADDR", ("127.0.0.1:8500",)), ("GOMAXPROCS", ("2",)))),
    _s("gitea/gitea", "1.21 1.22.3", "http:3000 ssh:22", "git server", "/api/healthz", data="/data", tall=8,
       env=(("GITEA__database__DB_TYPE", ("postgres", "mysql")), ("GITEA__server__DISABLE_SSH", ("false", "true")),
            ("GITEA__database__HOST", ("postgres:5432", "gitea-db:5432")), ("USER_UID", ("1000",)))),
    _s("eclipse-mosquitto", "2.0 2.0.18", "mqtt:1883", "MQTT broker", "", data="/mosquitto/data", uid=1883, tall=2,
       config="/mosquitto/config/mosquitto.conf",
       lines=("listener 1883\nallow_anonymous true\n",
       "listener 1883\npersistence true\npersistence_location /mosquitto/data/\n",
              "listener 1883\nallow_anonymous false\npassword_file /mosquitto/config/passwd\n")),
    _s("couchdb", "3.3 3.3.3", "http:5984", "document store", "/_up", data="/opt/couchdb/data", uid=5984, tall=8,
       env=(("COUCHDB_USER", ("admin",)),), secrets=(("COUCHDB_PASSWORD", "password"),)),
    _s("victoriametrics/victoria-metrics", "v1.101.0 v1.103.0", "http:8428", "metrics store", "/health",
       data="/storage",
       args=(("--storageDataPath=/storage", "--retentionPeriod=30d"),
       ("--storageDataPath=/storage", "--retentionPeriod=6")),
       tall=9),
)  # fmt: skip
AGENTS: Final[tuple[Software, ...]] = (
    _s("prom/node-exporter", "v1.8.1 v1.8.2", "metrics:9100", "node metrics", "/", host=("/proc", "/sys"), uid=65534,
       tall=2,
       args=(("--path.procfs=/host/proc", "--path.sysfs=/host/sys"),
             ("--path.procfs=/host/proc", "--path.sysfs=/host/sys", "--no-collector.wifi"),
             ("--path.procfs=/host/proc", "--path.sysfs=/host/sys", "--collector.systemd"))),
    _s("fluent/fluent-bit", "3.0 3.1.9 3.2.0", "metrics:2020", "log shipper", "/api/v1/health", uid=0, tall=4,
       config="/fluent-bit/etc/fluent-bit.conf", host=("/var/log", "/var/lib/docker/containers"),
       lines=("[SERVICE]\n    Flush 5\n[INPUT]\n    Name tail\n    Path /var/log/containers/*.log\n[OUTPUT]\n"
              "    Name es\n    Host elasticsearch\n",
              "[SERVICE]\n    Flush 1\n    HTTP_Server On\n[INPUT]\n    Name tail\n    Path /var/log/containers/*.log\n"
              "[OUTPUT]\n    Name loki\n    Host loki\n")),
    _s("fluent/fluentd", "v1.16-1 v1.17-debian-1", "metrics:24231", "log shipper", "/metrics", uid=0, tall=9,
       host=("/var/log", "/var/lib/docker/containers"),
       env=(("FLUENT_ELASTICSEARCH_HOST", ("elasticsearch", "logs.example.com")),
       ("FLUENT_ELASTICSEARCH_PORT", ("9200",)),
            ("FLUENT_UID", ("0",)))),
    _s("timberio/vector", "0.39.0-alpine 0.41.1-debian", "api:8686", "log shipper", "/health", uid=0, tall=6,
       host=("/var/log", "/var/lib/vector"), env=(("VECTOR_LOG", ("info", "warn")), ("PROCFS_ROOT", ("/host/proc",)))),
    _s("grafana/promtail", "2.9.10 3.1.1", "http:9080", "log shipper", "/ready", uid=0, tall=4,
       host=("/var/log", "/run/promtail"), args=(("-config.file=/etc/promtail/promtail.yaml",),),
       config="/etc/promtail/promtail.yaml",
       lines=("clients:\n- url: http://loki:3100/loki/api/v1/push\npositions:\n  filename: /run/promtail/seen.yaml\n",
              "server:\n  http_listen_port: 9080\nclients:\n- url: http://loki.monitoring:3100/loki/api/v1/push\n")),
    _s("docker.elastic.co/beats/filebeat", "8.13.4 8.15.2", "http:5066", "log shipper", "", uid=0, tall=6,
       host=("/var/log", "/var/lib/docker/containers"), args=(("-e", "-c", "/usr/share/filebeat/filebeat.yml"),
       ("-e",)),
       env=(("ELASTICSEARCH_HOST", ("elasticsearch", "logs")), ("ELASTICSEARCH_PORT", ("9200",)))),
    _s("gcr.io/cadvisor/cadvisor", "v0.49.1 v0.47.2", "http:8080", "container metrics", "/healthz", tall=6, uid=0,
       host=("/sys", "/var/lib/docker", "/dev/disk"), args=(("--housekeeping_interval=30s",), ("--docker_only=true",))),
    _s("netdata/netdata", "v1.47.1 v1.46", "http:19999", "node monitoring", "/api/v1/info", host=("/proc", "/sys"),
       uid=0,
       env=(("NETDATA_LISTENER_PORT", ("19999",)), ("DO_NOT_TRACK", ("1",))), tall=9),
    _s("falcosecurity/falco", "0.38.2 0.39.0", "web:8765", "intrusion detection", "/healthz",
       host=("/proc", "/etc", "/dev"),
       args=(("/usr/bin/falco",), ("/usr/bin/falco", "-pk")), uid=0, tall=11),
    _s("otel/opentelemetry-collector-contrib", "0.109.0 0.111.0", "otlp:4317 otlp-http:4318", "telemetry agent", "",
       config="/etc/otelcol-contrib/config.yaml", lines=_OTEL, uid=10001, tall=8),
    _s("nvcr.io/nvidia/k8s-device-plugin", "v0.15.0 v0.16.2", "", "GPU device plugin", "$ nvidia-smi", uid=0, tall=3,
       host=("/var/lib/kubelet/device-plugins",), env=(("FAIL_ON_INIT_ERROR", ("false",)),
       ("MIG_STRATEGY", ("none", "single")))),
    _s("registry.k8s.io/node-problem-detector/node-problem-detector", "v0.8.19 v0.8.20", "metrics:20257",
       "node problem detection", "/healthz", host=("/var/log", "/dev/kmsg"), uid=0, tall=3,
       args=(("--logtostderr", "--config.system-log-monitor=/config/kernel-monitor.json"),)),
    _s("registry.k8s.io/sig-storage/local-volume-provisioner", "v2.5.0 v2.6.0", "metrics:8080",
       "local disk provisioning", "",
       host=("/mnt/disks", "/dev"), uid=0, tall=3),
    _s("registry.k8s.io/dns/k8s-dns-node-cache", "1.23.0 1.23.1", "metrics:9253", "node DNS cache", "", uid=0, tall=2,
       host=("/run/xtables.lock",),
       args=(("-localip", "169.254.20.10", "-conf", "/etc/Corefile"),)),
    _s("hashicorp/consul", "1.18 1.19.2", "http:8500 serf:8301", "service registry agent", "/v1/status/leader", uid=100,
       args=(("agent", "-retry-join=consul-server"),), scratch=("/consul/data", "/tmp"), tall=4),  # noqa: S108
)  # fmt: skip
SIDECARS: Final[tuple[Software, ...]] = (
    _s("fluent/fluent-bit", "3.0 3.1.9", "logs-metrics:2020", "log shipper", "/api/v1/health", fits="logs", tall=2),
    _s("timberio/vector", "0.39.0-alpine 0.41.1-debian", "api:8686", "log shipper", "/health", fits="logs", tall=3),
    _s("envoyproxy/envoy", "v1.30.4 v1.31.2", "proxy:15001", "proxy", "", uid=101, tall=3),
    _s("nginx/nginx-prometheus-exporter", "1.1.0 1.3.0", "metrics:9113", "metrics exporter", "/metrics", tall=1,
       fits="frontend",
       args=(("-nginx.scrape-uri=http://localhost/stub_status",),)),
    _s("quay.io/oauth2-proxy/oauth2-proxy", "v7.6.0 v7.7.1", "proxy:4180", "login proxy", "/ping", tall=2,
       args=(("--provider=oidc", "--http-address=0.0.0.0:4180"),),
       secrets=(("OAUTH2_PROXY_CLIENT_SECRET", "client-secret"),)),
    _s("gcr.io/cloud-sql-connectors/cloud-sql-proxy", "2.11.4 2.13.0", "sql:5433", "database proxy", "", uid=65532,
       tall=3, fits="backend",
       args=(("--port=5433", "--structured-logs", "acme-prod:europe-west3:main"),
       ("--port=5433", "acme-dev:us-east1:app"))),
    _s("prom/statsd-exporter", "v0.26.1 v0.27.2", "statsd:9102", "metrics exporter", "/health", uid=65534, tall=1),
)  # fmt: skip
