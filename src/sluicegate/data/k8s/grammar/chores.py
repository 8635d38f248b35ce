"""What Jobs and CronJobs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluicegate.data.k8s.grammar.words import Words


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that ends.

    Args:
        name: a word for the object's name.
        image: without a tag, or empty for an image of the team's own.
        tags: of that image.
        command: what runs; `{subject}` is what it is about.
        purpose: in words, as a noun; so with `{subject}`.
        again: whether it also runs on a schedule.
        data: folder that it reads or writes; empty where there is none.
        secret: variable that it takes from a Secret, and the key there; empty where there is none.
        account: whether it speaks with the API server.
        gpus: how many it wants.
        tall: place in MEMORIES that its requests lie around.
    """

    name: str
    image: str
    tags: Words
    command: Words
    purpose: str
    again: bool = True
    data: str = ""
    secret: tuple[str, str] | tuple[()] = ()
    account: bool = False
    gpus: int = 0
    tall: int = 6


def _c(name: str, image: str, tags: str, command: str, purpose: str, **more: object) -> Chore:
    return Chore(name, image, tuple(tags.split()), tuple(command.split()), purpose, **more)  # type: ignore[arg-type]


_PG: Final = ("PGPASSWORD", "password")
_CUDA: Final = "2.3.1-cuda12.1-cudnn8-runtime 2.4.1-cuda12.4-cudnn9-runtime"
CHORES: Final[tuple[Chore, ...]] = (
    _c("backup", "postgres", "15.4 16 16.4-alpine", "pg_dump -h {subject}-db -U app -Fc -f /backup/{subject}.dump app",
       "backup of the {subject} database", data="/backup", secret=_PG),
    _c("dump", "mysql", "8.0 8.4", "mysqldump -h {subject}-db --all-databases --result-file=/backup/{subject}.sql",
       "dump of the {subject} database", data="/backup", secret=("MYSQL_PWD", "password")),
    _c("archive", "mongo", "6.0 7.0", "mongodump --host={subject}-mongo --archive=/backup/{subject}.gz --gzip",
       "archive of the {subject} documents", data="/backup"),
    _c("migrate", "", "", "python manage.py migrate --noinput", "database migration of {subject}", again=False,
       secret=("DATABASE_URL", "url")),
    _c("migrate", "", "", "bundle exec rails db:migrate", "schema migration of {subject}", again=False,
       secret=("DATABASE_URL", "url")),
    _c("migrate", "flyway/flyway", "10 10.17.1", "flyway -url=jdbc:postgresql://{subject}-db:5432/app migrate",
       "schema migration of {subject}", again=False, secret=("FLYWAY_PASSWORD", "password"), tall=8),
    _c("seed", "", "", "node scripts/seed.js --only {subject}", "loading of the {subject} seed data", again=False),
    _c("cleanup", "busybox", "1.36 1.37.0", "find /data/{subject} -mtime +7 -delete", "clean-up of old {subject} files",
       data="/data", tall=1),
    _c("cleanup", "", "", "python -m app.cleanup --days 30", "removal of stale {subject} records"),
    _c("report", "", "", "python -m app.report --about {subject}", "report on {subject}",
       secret=("SMTP_PASSWORD", "smtp-password")),
    _c("report", "", "", "java -jar report.jar --area={subject}", "report on {subject}", tall=12),
    _c("sync", "rclone/rclone", "1.67 1.68.1", "rclone sync /data remote:{subject}",
       "copy of the {subject} files to remote storage",
       data="/data"),
    _c("mirror", "amazon/aws-cli", "2.17.0 2.18.5", "aws s3 sync s3://{subject} s3://{subject}-mirror",
       "mirror of the {subject} bucket", secret=("AWS_SECRET_ACCESS_KEY", "secret-key")),
    _c("reindex", "", "", "bin/reindex --index {subject}", "rebuild of the {subject} search index", tall=9),
    _c("prune", "bitnami/kubectl", "1.29 1.30.4 1.31",
       "kubectl delete pod --field-selector=status.phase=Succeeded -l app={subject}",
       "pruning of finished {subject} pods", account=True, tall=3),
    _c("restart", "bitnami/kubectl", "1.30.4 1.31", "kubectl rollout restart deployment/{subject}",
       "restart of the {subject} deployment", account=True, tall=3),
    _c("check", "curlimages/curl", "8.9.1 8.10.1", "curl -fsS http://{subject}/healthz", "health check of {subject}",
       tall=1),
    _c("warm", "curlimages/curl", "8.8.0 8.10.1", "curl -fsS http://{subject}/warmup",
       "warm-up of the {subject} cache", tall=1),
    _c("train", "pytorch/pytorch", _CUDA, "python train.py --epochs 10 --data /data/{subject}",
       "training of the {subject} model",
       data="/data", gpus=1, tall=18),
    _c("score", "pytorch/pytorch", _CUDA, "python predict.py --model /models/{subject}",
       "scoring with the {subject} model",
       data="/models", tall=15),
    _c("export", "", "", "python -m app.export --table {subject} --format csv", "export of {subject} as CSV"),
    _c("import", "", "", "bin/import --source /data/{subject}", "import of the delivered {subject} files",
       data="/data"),
    _c("scan", "aquasec/trivy", "0.55.2 0.56.1", "trivy image --exit-code 1 registry.example.com/{subject}",
       "vulnerability scan of the {subject} image", tall=11),
    _c("rotate", "alpine", "3.19 3.20", "sh /scripts/rotate-keys.sh {subject}", "rotation of the {subject} keys",
       data="/scripts", tall=1),
    _c("vacuum", "postgres", "15.4 16", "vacuumdb -h {subject}-db --all --analyze",
       "vacuum of the {subject} database", secret=_PG),
    _c("digest", "", "", "npm run digest -- --topic={subject}", "mailing of the {subject} digest",
       secret=("SMTP_PASSWORD", "smtp-password"), tall=7),
    _c("convert", "jrottenberg/ffmpeg", "6.1-alpine 7.0-alpine", "ffmpeg -i /data/{subject}.mov /data/{subject}.mp4",
       "conversion of the {subject} video", again=False, data="/data", tall=14),
    _c("load-test", "grafana/k6", "0.52.0 0.54.0", "k6 run --vus 20 /scripts/{subject}.js", "load test of {subject}",
       again=False, data="/scripts", tall=9),
    _c("invoice", "", "", "dotnet Billing.dll --run {subject}", "writing of the {subject} invoices", tall=9),
    _c("rollup", "", "", "spark-submit --class Rollup /app/{subject}.jar", "roll-up of the {subject} figures", tall=16),
    _c("dbt", "ghcr.io/dbt-labs/dbt-postgres", "1.8.2 1.9.0", "dbt run --select {subject}",
       "refresh of the {subject} tables",
       secret=("DBT_PASSWORD", "password"), tall=9),
    _c("sweep", "redis", "7.2 7.4-alpine", "redis-cli -h {subject}-redis --scan --pattern session:*",
       "sweep of {subject} sessions",
       tall=1),
    _c("compact", "", "", "bin/compact --dir /data/{subject}", "compaction of the {subject} data", data="/data",
       tall=12),
    _c("crawl", "", "", "scrapy crawl {subject}", "crawl of the {subject} pages", tall=10),
)  # fmt: skip
