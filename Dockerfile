# keyturn's image: CPython and the libraries it needs from Debian, the packages of uv.lock, keyturn.
# No shell, no package manager, nothing that is not read while serving. docs/container.md tells how
# to build it, run it and check it.

# Only tools come from this base; what ends up in the image is fetched below, and checked by apt
# against Debian's keys. So a tag does; who wants the tools by digest says --build-arg BASE=...@sha256:...
ARG BASE=docker.io/library/debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build

ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# Versions are Debian's newest of this release: a pinned one vanishes with its next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3.11-venv \
 && rm -rf /var/cache/ldconfig

# The system: files of these packages and nothing their scripts would do. Each leaves its status for
# scanners and its copyright for people.
WORKDIR /build/packages
RUN apt-get download \
      base-files ca-certificates tzdata \
      libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libuuid1 libcrypt1 \
      python3.11-minimal libpython3.11-minimal libpython3.11-stdlib \
 && mkdir -p /system/usr/lib /system/usr/lib64 /system/usr/bin /system/usr/sbin /system/opt/keyturn \
 && ln -s usr/lib usr/lib64 usr/bin usr/sbin /system/ \
 && mkdir -p /system/var/lib/dpkg/status.d \
 && for package in *.deb; do \
      name="$(dpkg-deb --field "$package" Package)" \
   && dpkg-deb --extract "$package" /system \
   && dpkg-deb --field "$package" > "/system/var/lib/dpkg/status.d/$name" \
   && dpkg-deb --info "$package" md5sums > "/system/var/lib/dpkg/status.d/$name.md5sums" \
   || exit 1; \
    done

# What the packages' scripts would have made: the trusted authorities in one file, where OpenSSL
# looks; one account without a name in any other system; folders.
WORKDIR /system
RUN find usr/share/doc -type f ! -name copyright -delete \
 && find usr/share/doc -type l -delete \
 && rm -rf usr/share/man usr/share/lintian usr/share/bug usr/share/base-files etc/profile.d \
      etc/update-motd.d etc/default etc/dpkg etc/issue etc/issue.net etc/skel \
      usr/sbin/update-ca-certificates usr/lib/binfmt.d usr/lib/python3.11/ensurepip \
      usr/share/applications usr/share/binfmts usr/share/dict usr/share/info usr/share/misc \
      usr/share/pixmaps media mnt srv boot home \
 && find var -mindepth 1 -maxdepth 1 ! -name lib -exec rm -r {} + \
 && mkdir -p etc/ssl/certs usr/lib/ssl \
 && LC_ALL=C cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt \
 && ln -s /etc/ssl/certs/ca-certificates.crt usr/lib/ssl/cert.pem \
 && printf 'root:x:0:0:root:/:/nonexistent\nkeyturn:x:65532:65532:keyturn:/nonexistent:/nonexistent\n' \
      > etc/passwd \
 && printf 'root:x:0:\nkeyturn:x:65532:\n' > etc/group \
 && printf 'passwd: files\ngroup: files\nhosts: files dns\n' > etc/nsswitch.conf \
 && mkdir -p tmp run && chmod 1777 tmp && chmod 0700 root

# The packages of uv.lock, by hash, then keyturn from a wheel that hatchling makes without a network.
WORKDIR /build/keyturn
COPY .ci/image-requirements.txt ./
RUN python3.11 -m venv /build/tools \
 && /build/tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r image-requirements.txt

ENV UV_PROJECT_ENVIRONMENT=/opt/keyturn UV_PYTHON=/usr/bin/python3.11 UV_PYTHON_DOWNLOADS=never \
    UV_NO_CACHE=1 UV_LINK_MODE=copy UV_SYSTEM_CERTS=1
COPY pyproject.toml uv.lock ./
# Words for uv; empty leaves the exporters of traces out.
ARG EXTRAS="--extra otel"
# hadolint ignore=SC2086
RUN /build/tools/bin/uv sync --frozen --no-dev --no-editable --no-install-project $EXTRAS

# Seconds since 1970 that every file of the image carries; a release sets its commit's.
ARG SOURCE_DATE_EPOCH=1767225600
COPY . ./
RUN /build/tools/bin/python -m hatchling build --target wheel --directory /build/wheel \
 && /build/tools/bin/uv pip install --python /opt/keyturn --no-deps --no-index /build/wheel/*.whl

# Everything is compiled now: the file system cannot be written to later, and a file's contents,
# not its time, say what belongs to it. What differs from one build to the next is dropped: notes
# of where a package was installed from, and when.
ARG COMMIT=""
WORKDIR /opt/keyturn
RUN find . -name direct_url.json -delete -o -name uv_cache.json -delete \
 && find . -name RECORD -exec sed -i '/direct_url.json\|uv_cache.json/d' {} + \
 && find bin -mindepth 1 ! -name 'python*' ! -name keyturn -delete \
 && rm -rf .lock .gitignore CACHEDIR.TAG \
 && printf '%s' "$COMMIT" > lib/python3.11/site-packages/keyturn/COMMIT \
 && find /system /opt/keyturn -name __pycache__ -prune -exec rm -r {} + \
 && export PYTHONHASHSEED=0 \
 && python3.11 -m compileall -q --invalidation-mode unchecked-hash -s /system -p / /system/usr/lib/python3.11 \
 && python3.11 -m compileall -q --invalidation-mode unchecked-hash /opt/keyturn/lib \
 && find /system /opt/keyturn -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM scratch

COPY --from=build /system/ /
COPY --from=build /opt/keyturn/ /opt/keyturn/

ARG COMMIT=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="keyturn" \
      org.opencontainers.image.description="OAuth 2.1 and OpenID Connect authorization server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/keyturn/keyturn" \
      org.opencontainers.image.documentation="https://github.com/keyturn/keyturn/blob/main/docs/container.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"

ENV PATH=/opt/keyturn/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# Each check starts Python, about a second of CPU; Kubernetes asks the management port by itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["keyturn", "health", "live"]
ENTRYPOINT ["keyturn"]
CMD ["serve"]
