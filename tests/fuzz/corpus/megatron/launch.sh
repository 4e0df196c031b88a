#!/bin/bash
export CUDA_DEVICE_MAX_CONNECTIONS=1
GPUS_PER_NODE=8
NNODES=${SLURM_NNODES:-"4"}
TP=2
DISTRIBUTED_ARGS=(
  --nproc_per_node $GPUS_PER_NODE
  --nnodes $NNODES
)
GPT="
  --num-layers 24 --hidden-size 2048 --num-attention-heads 16 \
  --seq-length 2048 --max-position-embeddings 2048 --vocab-size 51200
  --micro-batch-size 2 --global-batch-size 256 --train-samples 1000000
"
torchrun ${DISTRIBUTED_ARGS[@]} pretrain_gpt.py $GPT --tensor-model-parallel-size ${TP} \
  --pipeline-model-parallel-size 2 --num-layers-per-virtual-pipeline-stage 6 \
  --bf16 --use-distributed-optimizer --sequence-parallel --swiglu --recompute-activations # done
