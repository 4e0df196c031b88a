#!/bin/bash
#SBATCH --nodes=4
#SBATCH --gpus-per-node=8
PR=bf16
MODEL_SIZE=7B
if [ $PR = bf16 ]; then
  o="--bf16"
elif [ $PR = fp8 ]; then
  o="--bf16 --fp8-format hybrid"
fi
if [[ $MODEL_SIZE == "7B" ]]; then
  M=(--num-layers 32 --hidden-size 4096 --num-attention-heads 32)
elif [[ $MODEL_SIZE == 13B ]]; then
  M=(--num-layers 40 --hidden-size 5120 --num-attention-heads 40)
fi
case ${RUN:-x} in
  x|y) S="--seq-length 4096" ;;
  *) S="--seq-length 1024" ;;
esac
GBS=$((8*32))
EX=("--swiglu" "--vocab-size 128256" "--micro-batch-size 1")
if [ "$MOE" = 1 ]; then E="--num-experts 8"; fi
if [ $# -lt 1 ]; then echo usage; exit 1; fi
python preprocess.py --num-layers 2
srun bash -c "torchrun --nproc-per-node 8 pretrain_gpt.py ${M[*]} $o $S --global-batch-size $GBS ${EX[*]} --no-such-flag"
