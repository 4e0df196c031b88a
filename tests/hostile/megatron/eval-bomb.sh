A="eval \$A; eval \$A"
eval $A
run --num-layers 1
