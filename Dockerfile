# The book and all that it needs; README.md says how to build and run it with Podman or Docker.
# The checksum for Quarto stands in the release's quarto-VERSION-checksums.txt.
FROM docker.io/library/python:3.13-slim-bookworm

ARG ENGINE=embedded
ARG QUARTO_VERSION=1.9.38
ARG QUARTO_SHA256=

# Debian's archive keeps one version of a package, so none can be named.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl make \
 && rm -rf /var/lib/apt/lists/*

RUN if [ "$ENGINE" = quarto ]; then \
      file="quarto-$QUARTO_VERSION-linux-$(dpkg --print-architecture).tar.gz" \
      && curl --fail --silent --show-error --location --output /tmp/quarto.tar.gz \
        "https://github.com/quarto-dev/quarto-cli/releases/download/v$QUARTO_VERSION/$file" \
      && printf '%s  /tmp/quarto.tar.gz\n' "${QUARTO_SHA256:?name the checksum}" > /tmp/sums \
      && sha256sum --check --strict /tmp/sums \
      && mkdir /opt/quarto \
      && tar --extract --gzip --file /tmp/quarto.tar.gz --directory /opt/quarto --strip-components 1 \
      && ln -s /opt/quarto/bin/quarto /usr/local/bin/quarto \
      && rm /tmp/quarto.tar.gz /tmp/sums; \
    fi

RUN useradd --uid 1000 --create-home reader \
 && install --directory --owner reader --group reader /book
USER 1000:1000
WORKDIR /book

# The environment is a layer of its own, on empty packages, so that a change of code keeps it.
COPY --chown=1000:1000 Makefile pyproject.toml requirements.lock requirements-uv.lock README.md LICENSE ./
RUN mkdir analysis render \
 && touch analysis/__init__.py render/__init__.py \
 && make .venv/.ready \
 && rm -rf ~/.cache
COPY --chown=1000:1000 . .
# The lock files that were copied last are those that the environment was made of.
RUN touch .venv/.ready

ENV ENGINE=$ENGINE PYTHONDONTWRITEBYTECODE=1
CMD ["make", "book"]
