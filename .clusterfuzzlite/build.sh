#!/bin/bash -eu
# Builds the fuzz targets, and puts the inputs to begin with beside each. ClusterFuzzLite calls it in its image.
cargo fuzz build -O
for target in schedule scenario; do
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip -jqr "$OUT/${target}_seed_corpus.zip" "fuzz/seeds/$target"
done
# Every scenario file is an input of the target that reads them; several have the same name.
mkdir -p /tmp/scenarios
find scenarios -name '*.toml' -not -name Cargo.toml | while read -r file; do
    cp "$file" "/tmp/scenarios/$(echo "$file" | tr / -)"
done
zip -jqr "$OUT/scenario_seed_corpus.zip" /tmp/scenarios
