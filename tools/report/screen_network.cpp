// The network on the screen: pairs of ranks, collectives of the layout, what slows them, the bisection.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

std::string pairs_table(const Json& pairs) {
  Columns table;
  table.column("from rank", Align::right);
  table.column("to rank", Align::right);
  table.column("who", Align::left);
  table.column("hops", Align::right);
  table.column("latency, us", Align::right);
  table.column("GB/s", Align::right);
  table.column("narrowest link", Align::left);
  for (const Json& pair : pairs)
    table.row({grouped(pair["from"].get<long long>()), grouped(pair["to"].get<long long>()),
               text_of(pair, "relation"), number(number_of(pair, "hops")),
               fixed(number_of(pair, "latency_us"), 1), fixed(number_of(pair, "bandwidth_gbs"), 1),
               text_of(pair, "narrowest_link")});
  return table.text(2);
}

std::string collectives_table(const Json& collectives) {
  Columns table;
  table.column("group", Align::left);
  table.column("ranks", Align::right);
  table.column("domains", Align::right);
  table.column("collective", Align::left);
  table.column("size", Align::right);
  table.column("algorithm", Align::left);
  table.column("time", Align::right);
  table.column("bus GB/s", Align::right);
  table.column("busiest link", Align::left);
  for (const Json& c : collectives)
    table.row(
        {text_of(c, "group"), grouped(c["ranks"].get<long long>()), grouped(c["domains"].get<long long>()),
         words_of(text_of(c, "collective")), bytes_text(number_of(c, "bytes")),
         words_of(text_of(c, "algorithm")) + " " + text_of(c, "protocol"), time_text(number_of(c, "time_s")),
         fixed(number_of(c, "bus_bandwidth_gbs"), 1), text_of(c, "busiest_link")});
  return table.text(2);
}

// One sentence for each kind of group that goes over the network.
std::string contention(const Json& collectives) {
  std::string out;
  std::string told;
  for (const Json& c : collectives) {
    const std::string group = text_of(c, "group");
    const Json& flows = part_of(c, "flows");
    if (flows.is_null() || group == told) continue;
    told = group;
    const double slowdown = number_of(flows, "slowdown");
    if (slowdown < 1.005) {
      out += fmt::format("  {}: its {} rings at once are as fast as one alone\n", group,
                         grouped(flows["groups"].get<long long>()));
    } else {
      out +=
          fmt::format("  {}: its {} rings at once are {} times slower than one alone; {} crossings of {}\n",
                      group, grouped(flows["groups"].get<long long>()), fixed(slowdown, 2),
                      grouped(flows["crossings"].get<long long>()), text_of(flows, "busiest_link"));
      for (const Json& link : flows["full_links"])
        out += fmt::format("    full: {}\n", link.get<std::string>());
    }
    for (const Json& other : part_of(flows, "beside"))
      if (number_of(other, "slowdown") >= 1.005)
        out += fmt::format("    while {} sends, {} of the step, {} times slower still, over {}\n",
                           text_of(other, "group"), percent(number_of(other, "busy")),
                           fixed(number_of(other, "slowdown"), 2), text_of(other, "busiest_link"));
    if (flows.contains("slowdown_with_neighbours"))
      out += fmt::format("    beside the other jobs {} times slower than alone\n",
                         fixed(number_of(flows, "slowdown_with_neighbours"), 2));
  }
  return out;
}

}  // namespace

std::string network_screen(const Json& document, const Style& style) {
  const Json& network = part_of(document, "network");
  std::string out = heading("Network", style) + "\n";
  out += fmt::format("  {}, {} GPUs placed {}, priced by {}\n\n", text_of(network, "fabric"),
                     grouped(network["gpus"].get<long long>()), text_of(network, "placement"),
                     text_of(network, "fidelity"));
  out += pairs_table(network["pairs"]);
  if (!network["collectives"].empty()) {
    out +=
        "\n" + heading("Collectives of the layout", style) + "\n" + collectives_table(network["collectives"]);
    const std::string flows = contention(network["collectives"]);
    if (!flows.empty()) out += "\n" + heading("All groups of a kind at once, as flows", style) + "\n" + flows;
  }
  const Json& bisection = network["bisection"];
  out += fmt::format("\n{}\n  {} TB/s each way, {} GB/s per GPU, {} of what the NICs could send\n",
                     heading("Bisection", style), fixed(number_of(bisection, "bandwidth_gbs") / 1000, 2),
                     fixed(number_of(bisection, "per_gpu_gbs"), 1), percent(number_of(bisection, "of_full")));
  return out;
}

}  // namespace runcast
