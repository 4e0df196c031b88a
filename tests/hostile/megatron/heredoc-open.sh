bash <<EOF
run --num-layers 1
