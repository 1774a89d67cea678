# The program in an image: `docker build -t kokanee .`
#
# The image is a SageMaker container, which answers `docker run kokanee train` and `serve` at /opt/ml, and any other command of the program:
# docs/local-sagemaker.md has the line for a local SageMaker.
FROM rust:1-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package kokanee --config profile.release.strip=true

FROM debian:bookworm-slim
COPY --from=build /source/target/release/kokanee /usr/local/bin/kokanee
# A local SageMaker keeps what it knows in /data/kokanee.
ENV XDG_DATA_HOME=/data
VOLUME /data
EXPOSE 7243 8080
ENTRYPOINT ["kokanee"]
CMD ["--help"]
