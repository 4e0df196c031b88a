// Knots of the map from tuned to measured times, and the blend of several curves for one group.
#include "topology/measured_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.hpp"
#include "topology/hardware.hpp"
#include "topology/tuner.hpp"

namespace runcast {
namespace {

double log_of(Seconds time) { return std::log((time + kBenchmarkLaunch).value); }

// One curve's say at a number of domains, and its distance.
struct Voice {
  double domains;  // logarithm
  double value;    // correction, weighted
};

// Straight between the nearest voices below and above; the nearest one's value outside of them.
double blend(const std::vector<Voice>& voices, double at) {
  const Voice *below = nullptr, *above = nullptr;
  for (const Voice& voice : voices) {
    if (voice.domains <= at && (below == nullptr || voice.domains > below->domains)) below = &voice;
    if (voice.domains >= at && (above == nullptr || voice.domains < above->domains)) above = &voice;
  }
  if (below == nullptr) return above->value;
  if (above == nullptr || above->domains <= below->domains) return below->value;
  const double share = (at - below->domains) / (above->domains - below->domains);
  return below->value + share * (above->value - below->value);
}

}  // namespace

std::vector<MeasuredPoint> monotone(std::vector<MeasuredPoint> points) {
  std::stable_sort(points.begin(), points.end(),
                   [](const MeasuredPoint& a, const MeasuredPoint& b) { return a.size < b.size; });
  struct Pool {
    double log_sum;
    std::size_t count;
    double mean() const { return log_sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  std::vector<Bytes> sizes;
  std::vector<std::size_t> members;  // points of each size that remains
  for (std::size_t i = 0; i < points.size();) {
    double sum = 0;
    std::size_t same = 0;
    for (; i + same < points.size() && points[i + same].size == points[i].size; ++same)
      sum += std::log(points[i + same].time.value);
    sizes.push_back(points[i].size);
    i += same;
    pools.push_back({sum / static_cast<double>(same), 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      pools[pools.size() - 2].log_sum += pools.back().log_sum;
      pools[pools.size() - 2].count += pools.back().count;
      pools.pop_back();
    }
  }
  std::vector<MeasuredPoint> smooth;
  for (const Pool& pool : pools)
    for (std::size_t i = 0; i < pool.count; ++i)
      smooth.push_back({sizes[smooth.size()], Seconds(std::exp(pool.mean()))});
  return smooth;
}

CurveMap::CurveMap(const MeasuredCurve& curve, const GroupLinks& reference)
    : collective_(curve.collective),
      entry_(curve.reference == nullptr ? std::string() : curve.reference->name),
      domains_(reference.domains),
      ranks_per_domain_(reference.ranks_per_domain) {
  INVARIANT(!curve.points.empty());
  for (const MeasuredPoint& point : monotone(curve.points))
    knots_.push_back({log_of(tune(collective_, point.size, reference).time), std::log(point.time.value)});
}

double CurveMap::weight(const GroupLinks& links) const {
  if ((links.domains == 1) != (domains_ == 1)) return 0;
  const double ratio = static_cast<double>(links.ranks_per_domain) / ranks_per_domain_;
  return std::max(0.0, 1 - std::abs(std::log2(ratio)));
}

double CurveMap::correction(Seconds tuned) const {
  const double at = log_of(tuned);
  const auto above = std::upper_bound(knots_.begin(), knots_.end(), at,
                                      [](double value, const Knot& knot) { return value < knot.tuned; });
  if (above == knots_.begin()) return knots_.front().measured - knots_.front().tuned;
  const Knot& low = *std::prev(above);
  if (above == knots_.end() || above->tuned <= low.tuned) return low.measured - low.tuned;
  const double share = (at - low.tuned) / (above->tuned - low.tuned);
  return low.measured + share * (above->measured - low.measured) - at;
}

Seconds corrected(const std::vector<CurveMap>& maps, const std::string& entry, Collective collective,
                  Seconds tuned, const GroupLinks& links) {
  const auto fits = [&](const CurveMap& map) {
    return map.collective() == collective && map.weight(links) > 0;
  };
  const std::string* family = nullptr;  // the group's own entry, else the first with a curve that fits
  for (const CurveMap& map : maps)
    if (fits(map) && (family == nullptr || map.entry() == entry)) {
      if (family == nullptr || *family != entry) family = &map.entry();
    }
  if (family == nullptr) return tuned;
  std::vector<Voice> voices;
  for (const CurveMap& map : maps)
    if (fits(map) && map.entry() == *family)
      voices.push_back({std::log2(map.domains()), map.weight(links) * map.correction(tuned)});
  const double log_time = log_of(tuned) + blend(voices, std::log2(links.domains));
  return Seconds(std::max(0.0, std::exp(log_time) - kBenchmarkLaunch.value));
}

}  // namespace runcast
