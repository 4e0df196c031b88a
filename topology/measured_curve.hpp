// Times of collectives as somebody measured them, by size, and how they correct the tuner's formula.
// A curve belongs to a hardware entry (its reference) and a number of ranks and nodes. For its own group the time
// is the curve's, interpolated on logarithmic scales. For a group of other links the tuner's time is taken through the
// map "time that the tuner gives the reference -> time that was measured": monotone, and scaled to the links.
// It holds in full for groups with as many ranks in a domain as were measured, and fades to nothing at twice or half
// as many; between curves of several numbers of domains it is blended on the logarithm of that number.
// Curves are made monotone first: neighbours that fall with size (noise of one run) take their geometric mean.
// Leaves out: measurements under load; the launch of kBenchmarkLaunch is taken off.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "topology/group_links.hpp"

namespace runcast {

struct NodeSpec;

struct MeasuredPoint {
  Bytes size;
  Seconds time;  // of the whole call, launch included
};

struct MeasuredCurve {
  Collective collective = Collective::all_reduce;
  int ranks = 0, nodes = 0;
  std::shared_ptr<const NodeSpec> reference;  // the hardware entry it was measured on
  std::vector<MeasuredPoint> points;          // by size, each size once
  std::string source;
};

// Points in the order of size, one for each size (the geometric mean of several), times that never fall.
std::vector<MeasuredPoint> monotone(std::vector<MeasuredPoint>);

// What a curve says of the tuner on its reference's links.
class CurveMap {
 public:
  // INVARIANT: the curve has points.
  CurveMap(const MeasuredCurve&, const GroupLinks& reference);

  Collective collective() const { return collective_; }
  const std::string& entry() const { return entry_; }
  int domains() const { return domains_; }
  // How far the curve holds for a group: 1 for as many ranks in a domain, 0 from twice or half on.
  double weight(const GroupLinks&) const;
  // Natural logarithm of measured over tuned, for what the tuner gives as `tuned` (launch left out).
  double correction(Seconds tuned) const;

 private:
  struct Knot {
    double tuned, measured;  // logarithms of seconds, launch included
  };
  Collective collective_;
  std::string entry_;
  int domains_, ranks_per_domain_;
  std::vector<Knot> knots_;
};

// The tuned time as the curves correct it; unchanged where none fits. `entry`: the group's own hardware entry, whose
// curves go before those of others.
Seconds corrected(const std::vector<CurveMap>&, const std::string& entry, Collective, Seconds tuned,
                  const GroupLinks&);

}  // namespace runcast
