if [ $A = 1 ]; then
--num-layers 1
