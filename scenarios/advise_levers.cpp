// The levers of `advise`: what each finds in a scenario and which assignments try something else. To add one: a function
// and its row. Those of the step and of the training's recipe are here, the others in advise_run_levers.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parallelism/scaling_law.hpp"
#include "scenarios/advise.hpp"
#include "scenarios/advise_run_levers.hpp"

namespace runcast {

namespace {

using Proposals = std::vector<Proposal>;

// 1.5e12 as "1.5T".
std::string count_word(double n) {
  constexpr std::array<std::pair<double, const char*>, 4> kSteps = {
      {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [size, letter] : kSteps)
    if (n >= size) return fmt::format("{:.4g}{}", n / size, letter);
  return fmt::format("{:.4g}", n);
}

Proposals attention(const Scenario& s, const Library&) {
  if (s.training.flash_attention) return {};
  const double bytes = 2.0 * static_cast<double>(s.model.heads) * std::pow(s.training.sequence_length, 2);
  return {
      {fmt::format(
           "standard attention writes and keeps scores of s x s: {:.3g} GB a layer and sequence in 16 bits",
           bytes / kGiga),
       "standard",
       "flash",
       {"training.attention=flash"}}};
}

std::string recompute_name(const Recompute& r) {
  switch (r.kind) {
    case Recompute::Kind::full:
      return r.layers > 0 ? fmt::format("{} layers", r.layers) : "full";
    case Recompute::Kind::selective:
      return "selective";
    case Recompute::Kind::modules:
      return "modules";
    case Recompute::Kind::none:
      break;
  }
  return "none";
}

// The square root of the layers is the rule of thumb for how many to keep [Chen et al. 2016].
Proposals recompute(const Scenario& s, const Library&) {
  const std::string today = recompute_name(s.training.recompute);
  Proposals all;
  const auto add = [&](const std::string& value, const std::string& name) {
    if (name != today)
      all.push_back({fmt::format("recomputation is {}: {}", today,
                                 today == "none" ? "all activations are kept"
                                                 : "forward work is done again in the backward pass"),
                     today,
                     name,
                     {"training.recompute=" + value}});
  };
  add("none", "none");
  add("selective", "selective");
  add("[norms, mlp_activation]", "norms and activations");
  add("full", "full");
  const auto stage = s.model.layers / std::max(1, s.layout.pipeline);
  const auto some = stage - static_cast<std::int64_t>(std::sqrt(static_cast<double>(stage)));
  if (some > 0 && some < stage) add(fmt::format("{{layers: {}}}", some), fmt::format("{} layers", some));
  return all;
}

Proposals layout(const Scenario& s, const Library&) {
  Proposals all;
  const Layout& l = s.layout;
  const std::string today =
      fmt::format("tensor {} pipeline {} data {} micro_batch {} virtual_stages {}", l.tensor, l.pipeline,
                  l.data, s.training.micro_batch, s.schedule.virtual_stages);
  const auto add = [&](const std::string& proposed, std::vector<std::string> set) {
    all.push_back({"another division of the same GPUs", today, proposed, std::move(set)});
  };
  for (const int tensor : {l.tensor / 2, l.tensor, l.tensor * 2})
    for (const int pipeline : {l.pipeline / 2, l.pipeline, l.pipeline * 2}) {
      if (tensor < 1 || pipeline < 1 || (tensor == l.tensor && pipeline == l.pipeline)) continue;
      if (tensor > std::max(s.node.gpus, s.node.scale_up_domain)) continue;
      std::vector<std::string> set{fmt::format("layout.tensor={}", tensor),
                                   fmt::format("layout.pipeline={}", pipeline), "layout.data=auto"};
      if (tensor > 1 && !l.sequence_parallel) set.emplace_back("layout.sequence_parallel=true");
      add(fmt::format("tensor {} pipeline {}", tensor, pipeline), set);
    }
  for (const std::int64_t micro : {s.training.micro_batch / 2, s.training.micro_batch * 2})
    if (micro >= 1)
      add(fmt::format("micro_batch {}", micro), {fmt::format("training.micro_batch={}", micro)});
  return all;
}

Proposals schedule(const Scenario& s, const Library&) {
  if (s.layout.pipeline < 2) return {};
  Proposals all;
  const std::string today =
      fmt::format("{}, {} virtual stages", s.schedule.row->name, s.schedule.virtual_stages);
  for (const ScheduleRow& row : pipeline_schedules()) {
    if (row.name == s.schedule.row->name || row.name == "gpipe") continue;
    std::vector<std::string> set{fmt::format("schedule.name={}", row.name), "schedule.virtual_stages=auto"};
    all.push_back({"another order of the same micro-batches", today, std::string(row.name), std::move(set)});
  }
  for (const int virtual_stages : {s.schedule.virtual_stages / 2, s.schedule.virtual_stages * 2})
    if (virtual_stages >= 1 && s.schedule.row->name == "interleaved_1f1b")
      all.push_back({"chunks a rank trade bubble against messages",
                     today,
                     fmt::format("{} virtual stages", virtual_stages),
                     {fmt::format("schedule.virtual_stages={}", virtual_stages)}});
  return all;
}

Proposals precision(const Scenario& s, const Library&) {
  Proposals all;
  const double today = peak_rate(s.node.gpu, *s.training.precision).value;
  for (const Precision& format : precisions()) {
    const double peak = peak_rate(s.node.gpu, format).value;
    if (peak <= today) continue;
    std::vector<std::string> set{fmt::format("training.precision={}", format.name)};
    all.push_back({fmt::format("{} has units of {:.4g} TFLOP/s, {} uses {:.4g}", s.node.gpu.name,
                               peak / kTera, s.training.precision->name, today / kTera),
                   std::string(s.training.precision->name), std::string(format.name), std::move(set)});
  }
  return all;
}

Proposals sharding(const Scenario& s, const Library&) {
  if (s.layout.data * s.layout.context < 2) return {};
  Proposals all;
  const std::string today(name_of(s.training.sharding.kind));
  for (const char* name : {"none", "zero1", "zero2", "zero3"})
    if (name != today)
      all.push_back({"what is sharded over the replicas trades memory against messages",
                     today,
                     name,
                     {fmt::format("training.sharding={}", name)}});
  return all;
}

Proposals optimizer(const Scenario& s, const Library&) {
  if (s.training.optimizer != "adamw") return {};
  Proposals all;
  for (const char* name : {"adamw_8bit", "adamw_4bit", "adafactor", "shampoo", "muon"})
    all.push_back({"smaller optimizer states leave memory, and are read and written faster",
                   "adamw",
                   name,
                   {fmt::format("training.optimizer={}", name)}});
  return all;
}

Proposals overlap(const Scenario& s, const Library&) {
  const Overlap& o = s.training.overlap;
  Proposals all;
  std::vector<std::string> together;
  const auto add = [&](bool on, bool matters, const char* name) {
    if (on || !matters) return;
    const std::string set = fmt::format("training.overlap.{}=true", name);
    together.push_back(set);
    all.push_back({fmt::format("{} communication waits in the open", name), "off", name, {set}});
  };
  add(o.data, s.layout.data > 1, "data");
  add(o.tensor, s.layout.tensor > 1, "tensor");
  add(o.pipeline, s.layout.pipeline > 1, "pipeline");
  add(o.expert, s.layout.expert > 1, "expert");
  if (together.size() > 1) all.push_back({"communication waits in the open", "off", "all", together});
  return all;
}

Proposals data_loading(const Scenario& s, const Library&) {
  const DataLoading& loader = s.training.data_loading;
  const StepResult step = step_of(s, 1, false);
  if (step.breakdown.data_loading.ns == 0) return {};
  const Seconds fed = to_seconds(step.time - step.breakdown.data_loading);
  const double batch = static_cast<double>(s.training.global_batch);
  const LoadingTime time = loading_time(loader, batch, s.layout.data);
  std::vector<std::string> set;
  if (loader.prefetch == 0) set.emplace_back("training.data_loading.prefetch=2");
  if (const std::int64_t enough = enough_workers(loader, batch, s.layout.data, fed);
      enough > loader.workers_per_gpu)
    set.push_back(fmt::format("training.data_loading.workers_per_gpu={}", enough));
  if (time.storage > fed)
    set.push_back(fmt::format("training.data_loading.storage={:.6g} GB/s",
                              loader.bytes_per_sample.value * batch / fed.value / kGiga * 1.001));
  if (set.empty()) return {};
  return {{fmt::format(
               "GPUs wait for samples {:.1f} % of the step: the loader takes {:.4g} s for a step of {:.4g} s",
               100 * to_seconds(step.breakdown.data_loading).value / to_seconds(step.time).value,
               time.needed().value, fed.value),
           fmt::format("{} workers a GPU, prefetch {}", loader.workers_per_gpu, loader.prefetch),
           fmt::format("{}", fmt::join(set, ", ")), set}};
}

// Half of the tokens at short sequences; a long context as an extension at the end, of 5 % of the tokens [LLaMA-3,
// arXiv 2407.21783, 3.4.2: 8 k -> 128 k in the last 0.8T of 15.6T], where it is sharded over GPUs also without that.
Proposals curriculum(const Scenario& s, const Library&) {
  const TrainingSpec& t = s.training;
  if (!s.phases.empty() || t.sequence_length < 4096) return {};
  const double share = 1 - training_flops_per_token(s.model, 1, FlopConvention::exact) /
                               training_flops_per_token(s.model, static_cast<double>(t.sequence_length),
                                                        FlopConvention::exact);
  const bool is_long = t.sequence_length >= 32'768;
  Proposals all;
  const auto add = [&](std::int64_t factor, const std::string& layout) {
    const double part = is_long ? 0.95 : 0.5;
    const std::int64_t shorter = t.sequence_length / factor;
    all.push_back(
        {fmt::format("attention takes {:.1f} % of the FLOPs at {} tokens; short sequences first cost less",
                     100 * share, t.sequence_length),
         fmt::format("{} tokens all along", t.sequence_length),
         fmt::format("{:.0f} % of the tokens at {}{}{}", 100 * part, shorter,
                     is_long ? ", long context last" : "", layout.empty() ? "" : ", unsharded before"),
         {fmt::format("training.phases=[{{tokens: {:.0f}, sequence_length: {}, global_batch: {}, "
                      "micro_batch: {}{}}}]",
                      t.tokens * part, shorter, t.global_batch * factor,
                      layout.empty() ? t.micro_batch * factor : t.micro_batch, layout)}});
  };
  for (const std::int64_t factor : {4, 16}) {
    if (t.sequence_length / factor < 1024 || (factor == 16 && !is_long)) continue;
    add(factor, "");
    if (s.layout.context > 1 && is_long)
      add(factor,
          fmt::format(", layout: {{tensor: {}, pipeline: {}, context: 1, expert: {}, "
                      "sequence_parallel: {}, data: auto}}",
                      s.layout.tensor, s.layout.pipeline, s.layout.expert, s.layout.sequence_parallel));
  }
  return all;
}

// Early in training a large batch wastes samples: the first tenth at half the batch makes the same progress with fewer
// tokens, by the critical batch at the loss there (scaling_law.hpp), both of Kaplan's law.
Proposals batch_ramp(const Scenario& s, const Library&) {
  const TrainingSpec& t = s.training;
  const std::int64_t half = t.global_batch / 2, round = t.micro_batch * s.layout.data;
  if (!s.phases.empty() || half < 1 || half % round != 0) return {};
  const auto parameters = static_cast<double>(count_parameters(s.model).active);
  const double first = t.tokens / 10, batch = static_cast<double>(t.global_batch * t.sequence_length);
  const double critical = critical_batch(find_scaling_law("kaplan")->loss({parameters, first / 2}));
  const double enough = first * sample_efficiency(batch, critical) / sample_efficiency(batch / 2, critical);
  return {
      {fmt::format(
           "in the first tenth the critical batch is about {} tokens, a step has {}: half of it makes the "
           "same progress with {} tokens fewer, by Kaplan's law",
           count_word(critical), count_word(batch), count_word(first - enough)),
       fmt::format("batch {} all along", t.global_batch),
       fmt::format("batch {} for {} tokens", half, count_word(enough)),
       {fmt::format("training.tokens={:.0f}", t.tokens - first + enough),
        fmt::format("training.phases=[{{tokens: {:.0f}, global_batch: {}}}]", enough, half)}}};
}

Proposals early_stop(const Scenario& s, const Library&) {
  if (s.stopped_tokens < s.training.tokens) return {};
  const ScalingLaw& law = *find_scaling_law("chinchilla");
  const auto parameters = static_cast<double>(count_parameters(s.model).active);
  const double last = law.loss({parameters, s.training.tokens});
  Proposals all;
  for (const double more : {0.005, 0.01}) {
    const double loss = std::round(last * (1 + more) * 1e4) / 1e4;
    if (const auto tokens = tokens_for_loss(law, parameters, loss); tokens && *tokens < s.training.tokens)
      all.push_back(
          {fmt::format("by Chinchilla's law the last {:.0f} % of the tokens lower the loss from {:.4f} to "
                       "{:.4f}",
                       100 * (1 - *tokens / s.training.tokens), loss, last),
           count_word(s.training.tokens) + " tokens",
           count_word(*tokens) + " tokens",
           {fmt::format("training.stop={{loss: {}}}", loss)}});
  }
  return all;
}

}  // namespace

std::vector<Lever> levers() {
  return {
      {"attention", "training.attention", "the kernel of attention", Reach::same_run, true, attention},
      {"recompute", "training.recompute", "what is computed again in the backward pass", Reach::same_run,
       true, recompute},
      {"data_loading", "training.data_loading", "workers and prefetch until the step is fed", Reach::same_run,
       true, data_loading},
      {"layout", "layout", "degrees of parallelism and micro-batch", Reach::same_run, true, layout},
      {"schedule", "schedule", "order of micro-batches, chunks a rank", Reach::same_run, true, schedule},
      {"overlap", "training.overlap", "communication behind compute", Reach::same_run, true, overlap},
      {"sharding", "training.sharding", "what the replicas share", Reach::same_run, true, sharding},
      {"checkpoint", "checkpoint", "how often and how saves are made", Reach::same_run, false,
       checkpoint_lever},
      {"recovery", "recovery.policy", "what is done about failures", Reach::same_run, false, recovery_lever},
      {"spares", "recovery.spares", "nodes that stand by", Reach::same_run, false, spares_lever},
      {"place", "economics.region", "carbon intensity and price of region and hour", Reach::same_run, false,
       place_lever},
      {"precision", "training.precision", "number formats that the GPU has units for", Reach::recipe, true,
       precision},
      {"optimizer", "training.optimizer", "states of the optimizer", Reach::recipe, true, optimizer},
      {"curriculum", "training.sequence_length", "short sequences first", Reach::recipe, false, curriculum},
      {"batch_ramp", "training.global_batch", "small batches first", Reach::recipe, false, batch_ramp},
      {"early_stop", "training.tokens", "fewer tokens", Reach::recipe, false, early_stop},
      {"capacity", "economics", "reserved or spot instead of on demand", Reach::contract, false,
       capacity_lever},
      {"hardware", "cluster.node", "other GPUs", Reach::machine, false, hardware_lever},
  };
}

}  // namespace runcast
