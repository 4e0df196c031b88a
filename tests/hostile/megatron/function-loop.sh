f() { f; f; }
f
for i in 1 2 3; do f; eval f; done
torchrun --num-layers 2
