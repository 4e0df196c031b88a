// What the two halves of a cluster can send each other: the maximum flow (Boost.Graph, Boykov and Kolmogorov 2004) between the
// first half of the nodes and the second, over the links that are there. Whole scale-up domains stay together.
// Leaves out: other ways to cut it in half; routing, which may not reach it.
#pragma once

#include "topology/fabric.hpp"

namespace runcast {

struct Bisection {
  Bandwidth bandwidth;  // one way
  Bandwidth full;       // what the NICs of the smaller half could send: non-blocking
  int nodes = 0;        // in the first half
};

// INVARIANT: at least two scale-up domains.
Bisection bisection(const Fabric&);

}  // namespace runcast
