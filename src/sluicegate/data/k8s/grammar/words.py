"""The vocabulary of the grammar that is not about one piece of software: subjects, teams, places, numbers.

Written for this project. Names are generic words; registries and domains are reserved for examples or public.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Words: TypeAlias = tuple[str, ...]


def _words(text: str) -> Words:
    return tuple(text.split())


SUBJECTS: Final[Words] = _words(
    """accounts ads alerts analytics archive assets audit auth backoffice billing booking calendar campaigns cart
    catalog chat checkout claims clinic contacts content contracts coupons courier crm currency customers dashboard
    delivery devices directory dispatch documents donations dunning emails events exports facts feed feedback files
    fleet forecast forms forum fraud fulfilment gallery games geo gifts grades graph groups helpdesk history identity
    images import insights inventory invoices issues kiosk kyc leads ledger lessons library licences listings loans
    locations loyalty mail maps market matching media meetings menu messages metering mobile moderation movies music
    news notes notify offers orders parcels parking parts payments payroll permits photos pickup planner playlist
    podcast points policy polls portal prices printing products profiles projects promo quality quotes ratings receipts
    recipes recommend refunds registry rentals reports reservations returns reviews rewards risk rooms rules sales
    schedule search seats sensors sessions settlement shifts shipping signup sizing social stats stock storefront
    streaming subscriptions support surveys tasks tax telemetry tickets timeline tips tolls tours tracking trades
    training translate travel trips uploads users vehicles vendors video visits votes vouchers wallet warehouse weather
    webhooks widgets wiki wishlist workflow"""
)
TEAMS: Final[Words] = (
    "atlas", "borealis", "cobalt", "delta", "ember", "falcon", "granite", "harbour", "iris", "juniper", "kestrel",
    "lumen", "meridian", "nimbus", "onyx", "pioneer", "quartz", "raven", "sierra", "tundra",
)  # fmt: skip
ROOMS: Final[Words] = (
    "default", "platform", "shared", "tools", "data", "web", "apps", "internal",
    "edge", "batch", "preview", "sandbox", "monitoring", "databases", "messaging", "ci", "backend", "frontend",
)  # fmt: skip
"""Namespaces that many teams share."""
ENVIRONMENTS: Final[Words] = ("production", "staging", "dev", "qa")
HOUSES: Final[Words] = ("acme", "contoso", "globex", "initech", "northwind", "umbra", "bluefin", "hillside")
"""Organisations, for registries and domains."""
DOMAINS: Final[Words] = (
    "example.com", "example.org", "example.net", "shop.example.com", "internal.example.com", "dev.example.org",
    "acme.test", "corp.example.net", "apps.example.org", "k8s.example.net",
)  # fmt: skip
SECRETS: Final[tuple[tuple[str, str], ...]] = (
    ("DATABASE_URL", "url"), ("DB_PASSWORD", "password"), ("API_KEY", "api-key"), ("JWT_SECRET", "jwt-secret"),
    ("REDIS_PASSWORD", "redis-password"), ("SMTP_PASSWORD", "smtp-password"), ("S3_SECRET_KEY", "secret-key"),
    ("CLIENT_SECRET", "client-secret"), ("SENTRY_DSN", "dsn"), ("ENCRYPTION_KEY", "encryption-key"),
    ("STRIPE_API_KEY", "stripe-key"), ("OAUTH_CLIENT_SECRET", "oauth-secret"), ("SESSION_SECRET", "session-secret"),
    ("WEBHOOK_SECRET", "webhook-secret"), ("AMQP_PASSWORD", "amqp-password"), ("LDAP_BIND_PASSWORD", "ldap-password"),
)  # fmt: skip
"""Environment variables that come from a Secret, and the key there."""
PLACEHOLDERS: Final[Words] = ("change-me", "CHANGE_ME", "replace-me", "<set-by-ci>", "REPLACE_ME", "placeholder")
COMMON: Final[tuple[tuple[str, Words], ...]] = (
    ("LOG_LEVEL", ("info", "debug", "warn", "error")),
    ("LOG_FORMAT", ("json", "text")),
    ("TZ", ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")),
    ("MAX_CONNECTIONS", ("50", "100", "200")),
    ("CACHE_TTL", ("30s", "60s", "5m", "1h")),
    ("REQUEST_TIMEOUT", ("5s", "10s", "30s")),
    ("FEATURE_FLAGS", ("none", "beta", "new-ui", "dark-mode")),
    ("REDIS_HOST", ("redis", "redis-cache", "cache.data.svc")),
    ("DB_HOST", ("postgres", "mysql", "db.databases.svc", "pg-primary")),
    ("DB_NAME", ("app", "main", "core")),
    ("DB_POOL_SIZE", ("5", "10", "20", "40")),
    ("QUEUE_URL", ("amqp://rabbitmq:5672", "nats://nats:4222")),
    ("KAFKA_BROKERS", ("kafka:9092", "kafka-0.kafka:9092", "broker.messaging.svc:9092")),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", ("http://otel-collector:4317", "http://tempo:4317")),
    ("METRICS_ENABLED", ("true", "false")),
    ("BATCH_SIZE", ("100", "250", "500", "1000")),
    ("RETRY_LIMIT", ("3", "5", "10")),
    ("CORS_ORIGIN", ("*", "https://example.com", "https://app.example.org")),
    ("REGION", ("eu-central-1", "us-east-1", "ap-south-1")),
    ("SENTRY_ENVIRONMENT", ("production", "staging")),
    ("UPLOAD_LIMIT", ("5MB", "10MB", "50MB")),
    ("PAGE_SIZE", ("20", "50", "100")),
    ("RATE_LIMIT", ("60", "300", "1000")),
    ("S3_BUCKET", ("uploads", "assets", "media-files")),
    ("SMTP_HOST", ("mail", "smtp.example.com", "mailhog")),
)
"""Settings that an application of any language may have, and values that they take."""
CPUS: Final[Words] = (
    "10m", "25m", "50m", "75m", "100m", "125m", "150m", "200m", "250m", "300m", "400m", "500m", "600m", "750m", "1",
    "1500m", "2", "3", "4",
)  # fmt: skip
MEMORIES: Final[Words] = (
    "16Mi", "32Mi", "48Mi", "64Mi", "96Mi", "128Mi", "160Mi", "192Mi", "256Mi", "320Mi", "384Mi", "512Mi", "640Mi",
    "768Mi", "1Gi", "1536Mi", "2Gi", "3Gi", "4Gi", "6Gi", "8Gi",
)  # fmt: skip
"""Both in rising order: a limit is taken from the same place as its request or a later one."""
SIZES: Final[Words] = (
    "1Gi", "2Gi", "3Gi", "4Gi", "5Gi", "8Gi", "10Gi", "12Gi", "15Gi", "16Gi", "20Gi", "25Gi", "30Gi", "40Gi", "50Gi",
    "60Gi", "64Gi", "80Gi", "100Gi", "128Gi", "150Gi", "200Gi", "250Gi", "500Gi", "1Ti",
)  # fmt: skip
STORAGE_CLASSES: Final[Words] = (
    "standard", "fast-ssd", "gp3", "gp2", "premium-rwo", "longhorn", "ceph-block", "local-path", "managed-csi",
    "do-block-storage", "openebs-hostpath", "vsphere-thin",
)  # fmt: skip
SHARED_CLASSES: Final[Words] = ("nfs-client", "efs-sc", "cephfs", "azurefile-csi", "filestore-rwx")
"""Storage classes that several nodes may write to."""
ISSUERS: Final[Words] = ("letsencrypt-prod", "letsencrypt-staging", "internal-ca")
ZONES: Final[Words] = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
POOLS: Final[tuple[tuple[str, str], ...]] = (
    ("disktype", "ssd"), ("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64"), ("node-pool", "general"),
    ("node-pool", "highmem"), ("kubernetes.io/arch", "arm64"), ("workload", "batch"), ("node-role", "worker"),
)  # fmt: skip
TAINTS: Final[tuple[tuple[str, str], ...]] = (
    ("dedicated", "batch"), ("dedicated", "database"), ("spot", "true"), ("team", "data"), ("workload", "system"),
)  # fmt: skip
PRIORITIES: Final[Words] = ("high-priority", "low-priority", "business-critical", "batch")
ZONE_NAMES: Final[Words] = ("Europe/Berlin", "America/New_York", "Etc/UTC", "Asia/Tokyo", "Europe/London")
