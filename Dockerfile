# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
# The caches stay with the builder, so a change of ours does not build the dependencies again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p bellwork-api -p bellwork-worker -p bellwork-cli --bins \
    && install -D -t /out target/release/bellwork-api target/release/start-workers target/release/bellwork

# Migrations, practice tests and templates are inside the programs.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/bellwork --create-home bellwork \
    && install -d -o bellwork /var/lib/bellwork/mail
COPY --from=build /out/ /usr/local/bin/
USER bellwork
WORKDIR /var/lib/bellwork
ENV BIND=0.0.0.0:8080 MAIL_DIR=/var/lib/bellwork/mail LOG_FORMAT=json
EXPOSE 8080
CMD ["bellwork-api"]
