#!/bin/bash
# make.sh PROGRAM FOLDER: trains micro models and states with a release binary. Run it from the root of the repository.
set -e
K=$(realpath "$1"); O=$2; D=$(cd "$(dirname "$0")"; pwd)/data
mkdir -p $O
common="--set batch_size=16 --set num_threads=1 --set max_seq_len_source=12 --set max_seq_len_target=12 --set seed=7"
rnn="$common --set num_embed_source=8 --set num_embed_target=8 --set rnn_num_hidden=16 --set learning_rate=0.01"
cnn="$common --set encoder_type=cnn --set decoder_type=cnn --set num_embed_source=8 --set num_embed_target=8 --set cnn_num_hidden=16 --set num_layers_encoder=1 --set num_layers_decoder=1 --set learning_rate=0.01"
for kind in rnn cnn; do
  line="train -q --train $D/train.rec --validation $D/val.rec --vocab $D ${!kind}"
  T=$(mktemp -d)
  $K $line --output $T/model --set checkpoint_frequency_num_batches=100 --set max_num_batches=1200 --set checkpoint_threshold=20
  mkdir -p $O/$kind
  cp $T/model/{config.json,metrics.json,model.safetensors,vocab.src.json,vocab.trg.json} $O/$kind/
  $K $line --output $T/m2 --checkpoints $O/$kind-state --set checkpoint_frequency_num_batches=10 --set max_num_batches=20
  cp -r $O/$kind-state $T/s
  $K ${line/ -q / } --output $T/m3 --checkpoints $T/s --set checkpoint_frequency_num_batches=10 --set max_num_batches=40 --resume | grep -o "Validation-perplexity=.*" > $O/$kind-resumed.txt
  for p in f32 bf16 int8; do $K translate -q --model $O/$kind --precision $p --input $D/input.txt > $O/$kind-$p.txt; done
  rm -r $T
done
