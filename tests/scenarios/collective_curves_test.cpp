// How near the simulator is to measured collectives: every row of library/published/collectives.csv that has a time
// and a hardware entry, with the curves, by the formula alone, and with curves of every other size.
#include "scenarios/collective_curves.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/statistics.hpp"
#include "topology/network.hpp"
#include "topology/tuner.hpp"

using namespace runcast;

namespace {

struct Row {
  std::string what;
  double size, measured_us, predicted_us;
  double error() const { return predicted_us / measured_us - 1; }
};

FabricSpec quiet(const Library& library) {
  const LibraryEntry& entry = library.get("fabrics", "infiniband-quiet", "fabric", "test");
  Document document = Document::parse(entry.text, entry.path);
  return read_fabric(document.root());
}

enum class Knowing { formula, curves, every_other_size };

// What the network of the entry says of each measured row, launch included.
std::vector<Row> rows(Knowing knowing) {
  const Library library;
  std::vector<Row> list;
  for (const char* architecture : {"hopper", "blackwell"}) {
    const std::vector<MeasuredCurve> curves = collective_curves(library, architecture);
    std::vector<MeasuredCurve> known = curves;
    if (knowing == Knowing::formula) known.clear();
    if (knowing == Knowing::every_other_size)
      for (MeasuredCurve& curve : known) {
        std::vector<MeasuredPoint> kept;
        for (std::size_t i = 0; i < curve.points.size(); i += 2) kept.push_back(curve.points[i]);
        curve.points = kept;
      }
    for (const MeasuredCurve& curve : curves) {
      NodeSpec node = *curve.reference;
      node.measured = known;
      const Fabric fabric(node, curve.nodes, quiet(library));
      const Network network(fabric, packed_placement(curve.ranks));
      std::vector<RankId> ranks;
      for (int rank = 0; rank < curve.ranks; ++rank) ranks.emplace_back(rank);
      const GroupLinks links = network.group(ranks, 1);
      for (std::size_t i = 0; i < curve.points.size(); ++i) {
        if (knowing == Knowing::every_other_size && i % 2 == 0) continue;
        const MeasuredPoint& point = curve.points[i];
        const Seconds time = network.collective(curve.collective, point.size, links, kBenchmarkLaunch).time;
        list.push_back(
            {node.name + " x" + std::to_string(curve.ranks) + " " + std::string(name_of(curve.collective)),
             point.size.value, point.time.value * 1e6, time.value * 1e6});
      }
    }
  }
  return list;
}

struct Errors {
  double median, worst;
};

Errors errors_of(const std::vector<Row>& list, const char* title, bool printed = false) {
  std::vector<double> sizes;
  std::string table;
  for (const Row& row : list) {
    sizes.push_back(std::abs(row.error()));
    char line[160];
    std::snprintf(line, sizeof line, "%-34s %12.0f B %10.1f us measured %10.1f us predicted %+6.1f %%\n",
                  row.what.c_str(), row.size, row.measured_us, row.predicted_us, 100 * row.error());
    table += line;
  }
  std::sort(sizes.begin(), sizes.end());
  REQUIRE(!sizes.empty());
  const Errors errors{sizes[sizes.size() / 2], sizes.back()};
  if (printed) MESSAGE(table);
  MESSAGE(std::string(title) << ": " << list.size() << " rows, median " << 100 * errors.median << " %, worst "
                             << 100 * errors.worst << " %");
  return errors;
}

}  // namespace

TEST_CASE("measured collectives are met within 10 % in the median and 25 % at worst") {
  const std::vector<Row> list = rows(Knowing::curves);
  CHECK(list.size() >= 190);
  const Errors errors = errors_of(list, "with measured curves", true);
  CHECK(errors.median < 0.10);
  CHECK(errors.worst < 0.25);
}

// The sizes between the known ones, so that the curves are interpolated.
TEST_CASE("with every other size known, those between are within 10 % in the median") {
  const Errors errors = errors_of(rows(Knowing::every_other_size), "every other size known");
  CHECK(errors.median < 0.10);
}

// Times that nobody gave the tuner as a curve; send/receive of nccl-tests starts few channels and is no tuner's choice.
TEST_CASE("the tuner's formula alone is within 10 % of measured collectives in the median") {
  std::vector<Row> list;
  for (const Row& row : rows(Knowing::formula))
    if (row.what.find("send_receive") == std::string::npos) list.push_back(row);
  CHECK(errors_of(list, "formula alone").median < 0.10);
}

TEST_CASE("a scenario's node carries the curves of its GPU's architecture") {
  const Library library;
  CHECK(collective_curves(library, "ampere").empty());
  const auto curves = collective_curves(library, "hopper");
  REQUIRE(curves.size() == 2);  // 8 GPUs, and 16 on two nodes
  CHECK(curves[0].ranks == 8);
  CHECK(curves[0].points.size() == 25);
  CHECK(curves[0].reference->name == "hgx-h100");
  CHECK(curves[1].nodes == 2);
}
