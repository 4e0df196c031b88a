// The run on the screen: days with failures, the ledger of wall time, the checkpoint interval, and the money.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kBar = 30;
constexpr std::size_t kCauses = 8;

std::string when_known(double value, int decimals) {
  return std::isfinite(value) ? fixed(value, decimals) : std::string();
}

// Mean, confidence interval and quantiles of what varies from trial to trial.
std::string spread_table(const Json& run) {
  Columns table;
  table.column("", Align::left);
  for (const char* name : {"mean", "95 % CI of the mean", "p5", "p50", "p95"})
    table.column(name, Align::right);
  const auto row = [&](const std::string& name, const char* key, double factor, int decimals) {
    const Json& spread = part_of(run, key);
    if (!spread.is_object() || !std::isfinite(number_of(spread, "mean"))) return;
    const auto cell = [&](const char* which) {
      return when_known(number_of(spread, which) * factor, decimals);
    };
    const std::string low = cell("ci95_low");
    table.row({name, cell("mean"), low.empty() ? low : low + " to " + cell("ci95_high"), cell("p5"),
               cell("p50"), cell("p95")});
  };
  row("days", "days", 1, 2);
  row("goodput %", "goodput", 100, 2);
  row("interruptions", "interruptions", 1, 1);
  row("first failure h", "first_failure_h", 1, 2);
  return table.empty() ? std::string() : table.text(2);
}

std::string ledger_table(const Json& ledger, const Style& style) {
  Columns table;
  table.column("where wall time goes", Align::left);
  table.column("share", Align::right);
  table.column("", Align::left);
  for (const auto& [key, value] : ledger.items()) {
    const double share = value.is_number() ? value.get<double>() : 0;
    if (share == 0) continue;
    table.row({words_of(key), fixed(share * 100, 2) + " %", bar(share, kBar, style)});
  }
  return table.text(2);
}

// The most frequent causes; the rest in one line.
std::string cause_table(const Json& causes) {
  if (!causes.is_array() || causes.empty()) return {};
  std::vector<const Json*> order;
  for (const Json& cause : causes)
    if (number_of(cause, "interruptions") > 0) order.push_back(&cause);
  std::stable_sort(order.begin(), order.end(), [](const Json* a, const Json* b) {
    return number_of(*a, "interruptions") > number_of(*b, "interruptions");
  });
  Columns table;
  table.column("interruptions a run, by cause", Align::left);
  table.column("", Align::right);
  table.column("lost each", Align::right);
  double rest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double count = number_of(*order[i], "interruptions");
    if (i < kCauses)
      table.row({words_of(text_of(*order[i], "name")), number(count, 3),
                 std::isfinite(number_of(*order[i], "lost_s")) ? time_text(number_of(*order[i], "lost_s"))
                                                               : std::string()});
    else
      rest += count;
  }
  if (rest > 0) table.row({fmt::format("{} others", order.size() - kCauses), number(rest, 3), ""});
  return table.empty() ? std::string() : "\n" + table.text(2);
}

// Trials that were given up, and against what they stood.
std::string unfinished_lines(const Json& run) {
  const double unfinished = number_of(run, "unfinished"), trials = number_of(run, "trials");
  if (!(unfinished > 0)) return {};
  const bool none = unfinished == trials;
  std::string out = none
                        ? fmt::format("  none of {} trials finished", number(trials))
                        : fmt::format("  {} of {} trials did not finish", number(unfinished), number(trials));
  out += ": failures come faster than progress";
  const double mttf = number_of(run, "checkpoint.mttf_s"), restart = number_of(run, "checkpoint.restart_s");
  if (std::isfinite(mttf) && std::isfinite(restart))
    out += fmt::format(" (one every {}, a restart takes {})", time_text(mttf), time_text(restart));
  return out + (none ? "\n  goodput, interruptions and shares are those until the trials were given up\n"
                     : "\n  days, and what follows from them, are those of the trials that finished\n");
}

// Days follow the step's own uncertainty; the failures' is the table below.
std::string days_interval(const Json& prediction) {
  const double low = number_of(prediction, "days_low"), high = number_of(prediction, "days_high");
  if (!std::isfinite(low) || !std::isfinite(high)) return {};
  return fmt::format("  {} interval {} days   from the step's; what failures add varies as below\n",
                     level_of(prediction), range_text(number(low), number(high)));
}

// Dates and budgets that were asked for, and what the user should know of the policy.
std::string goal_lines(const Json& run) {
  std::string out;
  if (const double p = number_of(run, "deadline.probability"); std::isfinite(p))
    out += fmt::format("  done within {} days: {} of the trials\n", number(number_of(run, "deadline.days")),
                       percent(p));
  if (const double p = number_of(run, "budget.probability"); std::isfinite(p))
    out += fmt::format("  within {} USD, with spares, storage and egress: {} of the trials\n",
                       number(number_of(run, "budget.usd")), percent(p));
  if (const double waits = number_of(run, "waits.mean"); waits > 0)
    out += fmt::format("  waits for a node: {} a run, {} each\n", number(waits, 3),
                       time_text(number_of(run, "waits.mean_wait_s")));
  if (const double repairs = number_of(run, "repairs.automatic"); repairs > 0)
    out += fmt::format("  repairs: {} automatic, {} by people, {} fixed nothing\n", number(repairs, 3),
                       number(number_of(run, "repairs.manual"), 3),
                       number(number_of(run, "repairs.false_fixes"), 3));
  if (const Json& warnings = part_of(run, "warnings"); warnings.is_array())
    for (const Json& sentence : warnings) out += "  warning: " + wrapped(plain_text(sentence), 4) + "\n";
  return out;
}

// Emissions by contract and of making the hardware, where they were asked for, and what all compares with.
std::string carbon_lines(const Json& cost) {
  std::string out;
  const double place = number_of(cost, "co2e_t"), market = number_of(cost, "co2e_market_t");
  if (std::isfinite(market) && market != place)
    out += fmt::format("  market-based, of the power that is contracted: {} t CO2e\n", number(market));
  if (const double embodied = number_of(cost, "embodied_t"); std::isfinite(embodied))
    out += fmt::format("  making the hardware, its share of the run: {} t CO2e\n", number(embodied));
  const Json& like = part_of(cost, "equivalents");
  if (like.is_object() && place > 0)
    out += fmt::format(
        "  as much CO2e as {} flights New York - San Francisco, {} miles by car or {} days of a home\n",
        number(number_of(like, "flights_new_york_san_francisco"), 3),
        number(number_of(like, "miles_by_car"), 3), number(number_of(like, "home_days"), 3));
  return out;
}

std::string spot_line(const Json& spot) {
  if (!spot.is_object()) return {};
  const auto run = [&](const char* days, const char* usd) {
    const double time = number_of(spot, days), money = number_of(spot, usd);
    return (std::isfinite(time) ? number(time) + " days" : "no end") +
           (std::isfinite(money) ? " and " + number(money) + " USD" : "");
  };
  const double even = number_of(spot, "break_even_discount");
  const std::string pays = !std::isfinite(even) ? "no discount makes it pay"
                           : even <= 0          ? "pays without a discount"
                                                : "pays from " + percent(even) + " off";
  return fmt::format("  spot: {} preemptions, {}, against {} on demand; {}\n",
                     number(number_of(spot, "preemptions")), run("days", "usd"),
                     run("on_demand_days", "on_demand_usd"), pays);
}

std::string place_line(const Json& cost) {
  if (part_of(cost, "where_and_when.meets_deadline") == Json(false))
    return "  no start meets the deadline: the run is longer\n";
  const Json& clean = part_of(cost, "where_and_when.least_carbon");
  if (!clean.is_object() || !(number_of(clean, "co2e_t") < 0.9995 * number_of(cost, "co2e_t"))) return {};
  const double wait = number_of(clean, "start_in_h");
  return fmt::format("  least carbon: {}{}, {} t CO2e\n", text_of(clean, "region"),
                     wait > 0 ? fmt::format(" in {} h", number(wait)) : "",
                     number(number_of(clean, "co2e_t")));
}

}  // namespace

std::string run_part(const Json& document, const Style& style) {
  const Json& run = part_of(document, "run");
  if (!run.is_object()) return {};
  std::string out = heading("RUN", style) + "   ";
  const double days = number_of(run, "days.mean");
  out += std::isfinite(days) ? number(days) + " days" : bad("does not finish", style);
  if (const double ideal = number_of(run, "ideal_days"); std::isfinite(ideal))
    out += fmt::format("   ({} days without failures)", number(ideal));
  if (const double goodput = number_of(run, "goodput.mean"); std::isfinite(goodput))
    out += "   goodput " + percent(goodput);
  if (const double trials = number_of(run, "trials"); std::isfinite(trials))
    out += fmt::format("   {} trials", number(trials));
  out += "\n" + unfinished_lines(run) + goal_lines(run) + days_interval(part_of(run, "prediction")) +
         spread_table(run);
  if (const Json& ledger = part_of(run, "ledger"); ledger.is_object())
    out += "\n" + ledger_table(ledger, style);
  return out + cause_table(part_of(run, "causes"));
}

std::string checkpoint_part(const Json& document, const Style& style) {
  const Json& checkpoint = part_of(document, "run.checkpoint");
  if (!checkpoint.is_object()) return {};
  std::string out = heading("CHECKPOINT INTERVAL", style);
  const auto add = [&](const char* key, const char* word) {
    if (const double value = number_of(checkpoint, key); std::isfinite(value))
      out += fmt::format("   {} {}", word, time_text(value));
  };
  add("interval_s", "now");
  add("optimum_s", "best");
  add("young_s", "Young");
  add("daly_s", "Daly");
  add("mttf_s", "mean time to failure");
  out += "\n  closed form, unplanned failures alone; the run above is simulated\n";
  const Json& curve = part_of(checkpoint, "curve");
  if (!curve.is_array() || curve.empty()) return out;
  double worst = 1;
  double best = 0;
  for (const Json& point : curve) {
    worst = std::min(worst, number_of(point, "goodput"));
    best = std::max(best, number_of(point, "goodput"));
  }
  const double floor = worst - (best - worst) * 0.1;  // the worst bar stays visible
  const bool days = curve.front().contains("days");
  Columns table;
  for (const char* name : {"interval", "goodput"}) table.column(name, Align::right);
  if (days) table.column("days", Align::right);
  table.column(fmt::format("bar from {}", percent(floor)), Align::left);
  for (const Json& point : curve) {
    const double goodput = number_of(point, "goodput");
    const double fraction = best > floor ? (goodput - floor) / (best - floor) : 1;
    std::vector<std::string> cells = {time_text(number_of(point, "interval_s")), percent(goodput)};
    if (days) cells.push_back(number(number_of(point, "days")));
    cells.push_back(bar(fraction, kBar, style) + (goodput == best ? " best" : ""));
    table.row(std::move(cells));
  }
  return out + table.text(2);
}

std::string phases_part(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "run.phases");
  if (!rows.is_array()) return {};
  Columns table;
  table.column("phase", Align::left);
  for (const char* name :
       {"tokens", "GPUs", "batch", "sequence", "steps", "step", "MFU", "days", "share", "peak GiB"})
    table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({text_of(row, "name"), count_text(number_of(row, "tokens")), number(number_of(row, "gpus"), 6),
               number(number_of(row, "global_batch"), 6), number(number_of(row, "sequence_length"), 7),
               number(number_of(row, "steps"), 6), time_text(number_of(row, "step_s")),
               percent(number_of(row, "mfu")), number(number_of(row, "ideal_days")),
               percent(number_of(row, "share_of_days")),
               fixed(number_of(row, "peak_gib"), 1) +
                   (part_of(row, "fits") == Json(false) ? " does not fit" : "")});
  return heading("PHASES", style) + "   days without failures\n" + table.text(2);
}

std::string cost_part(const Json& document, const Style& style) {
  const Json& cost = part_of(document, "cost");
  if (!cost.is_object()) return {};
  std::string line;
  const auto add = [&](const char* key, const char* unit) {
    const double value = number_of(cost, key);
    if (std::isfinite(value)) line += (line.empty() ? "" : "   ") + number(value) + " " + unit;
  };
  add("usd", "USD");
  add("gpu_hours", "GPU hours");
  add("spare_gpu_hours", "GPU hours of spares");
  add("energy_mwh", "MWh");
  add("co2e_t", "t CO2e");
  if (line.empty()) line = "unknown: the run does not finish";
  std::string out = heading("COST", style) + "   " + line + "\n";
  const double usd = number_of(cost, "usd"), total = number_of(cost, "total_usd");
  if (std::isfinite(usd) && total > 1.00005 * usd)
    out += fmt::format("  with spares, storage and egress {} USD\n", number(total));
  if (const double owned = number_of(cost, "capital_usd"); std::isfinite(owned))
    out += fmt::format("  as owned hardware, with its energy: {} USD\n", number(owned));
  if (const Json& states = part_of(cost, "gpu_states"); states.is_object()) {
    out += "  of all time the GPUs are";
    const char* separator = " ";
    for (const auto& [state, share] : states.items()) {
      if (!(share.get<double>() >= 0.0005)) continue;
      out += fmt::format("{}{} {}", separator, words_of(state), percent(share.get<double>()));
      separator = ", ";
    }
    out += "\n";
  }
  out += carbon_lines(cost) + spot_line(part_of(cost, "spot")) + place_line(cost);
  const Json& prediction = part_of(cost, "prediction");
  const double low = number_of(prediction, "usd_low"), high = number_of(prediction, "usd_high");
  if (std::isfinite(low) && std::isfinite(high))
    out += fmt::format("  {} interval {} USD   from the step's\n", level_of(prediction),
                       range_text(number(low), number(high)));
  return out;
}

std::string published_part(const Json& document, const Style& style) {
  const Json& published = part_of(document, "published");
  if (!published.is_object()) return {};
  Columns table;
  table.column("", Align::left);
  for (const char* name : {"published", "simulated", "ratio"}) table.column(name, Align::right);
  for (const Json& row : part_of(published, "figures"))
    table.row({words_of(text_of(row, "figure")), number(number_of(row, "published")),
               number(number_of(row, "simulated")), fixed(number_of(row, "ratio"), 2)});
  std::string out =
      fmt::format("{}   {}\n", heading("PUBLISHED", style), text_of(published, "source")) + table.text(2);
  for (const Json& sentence : part_of(published, "differs"))
    out += "  - " + wrapped(plain_text(sentence), 4) + "\n";
  return out;
}

}  // namespace runcast
