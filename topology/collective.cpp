// Closed forms of collective.hpp. Each algorithm is a number of steps, which cost alpha each, and a number of
// times that the tensor crosses a rank's link (`passes`), which costs S/b each.
#include "topology/collective.hpp"

#include <bit>

namespace runcast {
namespace {

struct Terms {
  double steps, passes;
};

int log2_up(int n) {
  return static_cast<int>(std::bit_width(static_cast<unsigned>(n - 1)));
}  // ceil(log2 n), n >= 1

Terms all_reduce_terms(Algorithm algorithm, int n) {
  const double others = n - 1, ranks = n, depth = log2_up(n);
  switch (algorithm) {
    case Algorithm::ring:
      return {2 * others, 2 * others / ranks};
    case Algorithm::halving_doubling:
      return {2 * depth, 2 * others / ranks};
    case Algorithm::tree:
      return {2 * depth, 3};
    case Algorithm::double_tree:
      return {2 * depth, 2};
    case Algorithm::nvls:
      return {1, 1 + 1 / ranks};
    default:
      INVARIANT(false && "algorithm has no closed form of an all-reduce");
  }
  return {};
}

Terms terms_of(Collective collective, Algorithm algorithm, int n) {
  const double others = n - 1, ranks = n;
  switch (collective) {
    case Collective::all_reduce:
      return all_reduce_terms(algorithm, n);
    case Collective::all_gather:
    case Collective::reduce_scatter:
      INVARIANT(algorithm == Algorithm::ring);
      return {others, others / ranks};
    case Collective::all_to_all:
      INVARIANT(algorithm == Algorithm::pairwise);
      return {others, others / ranks};
    case Collective::broadcast:
      INVARIANT(algorithm == Algorithm::ring);
      return {others, 1};
    case Collective::send_receive:
      INVARIANT(algorithm == Algorithm::pairwise);
      return {1, 1};
  }
  INVARIANT(false && "unknown collective");
  return {};
}

}  // namespace

std::string_view name_of(Collective collective) {
  switch (collective) {
    case Collective::all_reduce:
      return "all_reduce";
    case Collective::all_gather:
      return "all_gather";
    case Collective::reduce_scatter:
      return "reduce_scatter";
    case Collective::all_to_all:
      return "all_to_all";
    case Collective::broadcast:
      return "broadcast";
    case Collective::send_receive:
      return "send_receive";
  }
  INVARIANT(false && "unknown collective");
  return {};
}

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::ring:
      return "ring";
    case Algorithm::tree:
      return "tree";
    case Algorithm::double_tree:
      return "double_tree";
    case Algorithm::halving_doubling:
      return "halving_doubling";
    case Algorithm::nvls:
      return "nvls";
    case Algorithm::hierarchical:
      return "hierarchical";
    case Algorithm::in_network:
      return "in_network";
    case Algorithm::pairwise:
      return "pairwise";
  }
  INVARIANT(false && "unknown algorithm");
  return {};
}

std::string_view name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::ll:
      return "LL";
    case Protocol::ll128:
      return "LL128";
    case Protocol::simple:
      return "Simple";
  }
  INVARIANT(false && "unknown protocol");
  return {};
}

Seconds closed_form(Collective collective, Algorithm algorithm, int n, Seconds alpha, Bytes size,
                    Bandwidth b) {
  INVARIANT(n >= 1 && b.value > 0 && size.value >= 0 && alpha.value >= 0);
  const Terms terms = terms_of(collective, algorithm, n);
  if (n == 1) return Seconds(0);
  return terms.steps * alpha + terms.passes * (size / b);
}

Seconds bandwidth_bound(Collective collective, Algorithm algorithm, int n, Bytes size, Bandwidth nominal) {
  return closed_form(collective, algorithm, n, Seconds(0), size, nominal);
}

Bandwidth bus_bandwidth(Collective collective, int n, Bytes size, Seconds t) {
  INVARIANT(n >= 1 && t.value > 0);
  const double share = static_cast<double>(n - 1) / n;
  switch (collective) {
    case Collective::all_reduce:
      return size / t * (2 * share);
    case Collective::all_gather:
    case Collective::reduce_scatter:
    case Collective::all_to_all:
      return size / t * share;
    case Collective::broadcast:
    case Collective::send_receive:
      return size / t;
  }
  INVARIANT(false && "unknown collective");
  return {};
}

}  // namespace runcast
