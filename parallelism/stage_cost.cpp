// Prices operator lists with the kernel model and the network, and adds layers up to stages.
#include "parallelism/stage_cost.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parallelism/kept_activations.hpp"
#include "parallelism/stage_kinds.hpp"

namespace runcast {

namespace {

void record(std::vector<CommunicationUse>& uses, const CommunicationUse& one, double times) {
  for (CommunicationUse& use : uses) {
    if (use.group != one.group || use.collective != one.collective) continue;
    use.count += times * one.count;
    use.bytes += times * one.bytes;
    use.time += times * one.time;
    use.exposed += times * one.exposed;
    return;
  }
  CommunicationUse scaled = one;
  scaled.count *= times;
  scaled.bytes *= times;
  scaled.time *= times;
  scaled.exposed *= times;
  uses.push_back(scaled);
}

// What the CPU's issue time adds to the GPU's. Of degree 1 in both: equal layers add up to a stage of the same form.
Seconds host_wait(Seconds gpu, Seconds issue) {
  const double both = std::pow(std::pow(gpu.value, 4) + std::pow(issue.value, 4), 0.25);
  return Seconds(std::max(0.0, both - gpu.value));
}

// Prices the operators of one layer, embedding or head.
class Pricer {
 public:
  Pricer(const StepShape& s, const Network& network, const GroupTable& groups, bool accounts)
      : s_(s), network_(network), groups_(groups), gpu_(network.fabric().node().gpu), accounts_(accounts) {}

  // `host`: time to issue this list; the list's recomputation is a list of its own.
  StagePass price(const OperatorList& list, Seconds host, bool counts_as_model) const {
    StagePass pass;
    std::vector<Seconds> kernel(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      kernel[i] = kernel_time(list[i]);
      pass.cost.compute += kernel[i];
      pass.hardware_flops += list[i].flops();
      if (counts_as_model) pass.model_flops += list[i].flops();
    }
    for (const Operator& op : list)
      if (op.kind == OperatorKind::collective) add_collective(op, list, kernel, pass);
    add_host(pass.cost, host);
    return pass;
  }

  std::vector<PricedOperator> operators(const OperatorList& list) const {
    std::vector<Seconds> kernel;
    for (const Operator& op : list) kernel.push_back(kernel_time(op));
    std::vector<PricedOperator> priced;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Operator& op = list[i];
      PricedOperator one{op.name, op.kind, op.group, op.collective, kernel[i], Seconds(0), op.bytes};
      if (op.kind == OperatorKind::collective) {
        StagePass alone;
        add_collective(op, list, kernel, alone);
        if (alone.communication.empty()) continue;
        one.time = alone.communication.front().time;
        one.exposed = alone.communication.front().exposed;
      }
      priced.push_back(one);
    }
    return priced;
  }

  Bandwidth host_link() const { return network_.fabric().node().host_link; }
  Seconds host_time(double factor) const { return s_.profile->host_per_layer * (graph_share() * factor); }
  Seconds moe_host_time(double factor) const {
    const double waits = s_.training->dispatch_on_device ? s_.profile->host_share_on_device : 1;
    return s_.profile->host_per_moe_layer * (graph_share() * waits * factor);
  }

 private:
  // Share of the kernels that the host still issues one by one.
  double graph_share() const {
    const std::string& graphs = s_.training->cuda_graphs;
    return graphs == "full" ? 0.05 : graphs == "partial" ? 0.4 : 1.0;  // [accuracy study]
  }

  const Precision& wide() const {
    return s_.training->precision->narrow ? sixteen_bit() : *s_.training->precision;
  }

  Seconds kernel_time(const Operator& op) const {
    const AttentionKernel attention =
        s_.training->flash_attention
            ? (s_.profile->attention == AttentionKernel::standard ? AttentionKernel::flash2
                                                                  : s_.profile->attention)
            : AttentionKernel::standard;
    switch (op.kind) {
      case OperatorKind::gemm:
        return gemm_time(gpu_, op.wide ? wide() : *s_.training->precision, op.gemm, op.accumulate);
      case OperatorKind::attention_forward:
        return attention_forward_time(gpu_, attention, op.attention, wide());
      case OperatorKind::attention_backward:
        return attention_backward_time(gpu_, attention, op.attention, wide());
      case OperatorKind::stream:
        return stream_time(
            gpu_, (op.bytes + (gpu_.narrow_needs_transpose() ? op.transpose : Bytes(0))) * traffic(op),
            op.kernels);
      case OperatorKind::collective:
        break;
    }
    return Seconds(0);
  }

  double traffic(const Operator& op) const {
    if (op.is_cast) return gpu_.kernels.cast_traffic;
    // A captured graph has fixed shapes, so that its permutation is fused into the exchange [accuracy study: .02].
    const bool fused = s_.profile->fused_permutation || s_.training->cuda_graphs == "full";
    if (op.is_permute) return gpu_.kernels.permute_traffic * (fused ? 0.1 : 1);
    return 1;
  }

  // Copies of a token that a deduplicating dispatcher really sends to `places` equal places, of top-k.
  static double sent_share(double places, double k) { return places * (1 - std::pow(1 - 1 / places, k)) / k; }

  Seconds collective_time(const Operator& op) const {
    const GroupLinks& links = groups_[op.group];
    const Seconds launch = s_.profile->collective_launch;
    if (op.collective != Collective::all_to_all || op.group != CommunicationGroup::expert)
      return network_.collective(op.collective, op.bytes, links, launch).time;
    const double k = static_cast<double>(s_.model->experts->top_k);
    const bool once = s_.training->deduplicate_tokens;
    const auto limit = static_cast<int>(s_.model->experts->node_limit);
    const int places = limit > 0 ? std::min(limit, links.domains) : links.domains;
    return network_.exchange(op.bytes * (once ? sent_share(links.ranks, k) : 1),
                             op.bytes * (once ? sent_share(places, k) : 1), links,
                             gpu_.kernels.exchange_efficiency, launch);
  }

  void add_collective(const Operator& op, const OperatorList& list, const std::vector<Seconds>& kernel,
                      StagePass& pass) const {
    const Seconds time = collective_time(op);
    if (time.value <= 0) return;
    Seconds hidden(0);
    if (op.hides_behind >= 0) {
      hidden = std::min(time, kernel[static_cast<std::size_t>(op.hides_behind)]);
    } else if (op.cuts >= 0 && s_.training->overlap.tensor) {
      hidden = overlap_by_pieces(op, list, kernel, time, pass);
    } else if (op.group == CommunicationGroup::context && s_.layout->context_method == "ring") {
      hidden = std::min(time, attention_time(list, kernel) * s_.profile->context_hidden);
    }
    const Seconds exposed = time - hidden;
    // A ring exchange is made by copy engines, which take no SMs from the GEMM [Transformer Engine, userbuffers].
    const bool by_copies = op.cuts >= 0 && op.collective == Collective::all_gather;
    if (!by_copies)
      pass.cost.compute += hidden * (gpu_.kernels.overlap_slowdown * link_share(groups_[op.group]));
    part_of(pass.cost, op.group) += exposed;
    if (accounts_) record(pass.communication, {op.group, op.collective, 1, op.bytes, time, exposed}, 1);
  }

  // Tensor-parallel traffic beside its own GEMM, cut along the tokens [Transformer Engine userbuffers; async TP].
  //   all-gather       ring exchange: a rank begins with its own shard, and each next shard arrives during the
  //                    product of the one before: only what outlasts (t - 1)/t of the product is exposed
  //   reduce-scatter   pipelined in kPipelineSplits pieces: the last piece is exposed, and what outlasts the others
  // The pieces run in several streams and share their waves; what they lose in tiles is added to the compute.
  Seconds overlap_by_pieces(const Operator& op, const OperatorList& list, const std::vector<Seconds>& kernel,
                            Seconds time, StagePass& pass) const {
    const auto place = static_cast<std::size_t>(op.cuts);
    const bool gather = op.collective == Collective::all_gather;
    const double pieces = gather ? groups_[op.group].ranks : kPipelineSplits;
    Operator cut = list[place];
    cut.gemm.m /= pieces;
    cut.gemm.groups *= pieces;
    const Seconds product = std::max(kernel[place], kernel_time(cut));
    pass.cost.compute += product - kernel[place];
    const double beside = (pieces - 1) / pieces;
    return std::min(time * (gather ? 1 : beside), product * beside);
  }
  static constexpr double kPipelineSplits = 4;  // [Megatron-Bridge comm_overlap.py: num_splits 4]

  static Seconds attention_time(const OperatorList& list, const std::vector<Seconds>& kernel) {
    Seconds sum(0);
    for (std::size_t i = 0; i < list.size(); ++i)
      if (list[i].kind == OperatorKind::attention_forward || list[i].kind == OperatorKind::attention_backward)
        sum += kernel[i];
    return sum;
  }

  static Seconds& part_of(PassCost& cost, CommunicationGroup group) {
    switch (group) {
      case CommunicationGroup::tensor:
        return cost.tensor;
      case CommunicationGroup::context:
        return cost.context;
      case CommunicationGroup::expert:
      case CommunicationGroup::expert_tensor:
        return cost.expert;
      default:
        return cost.data;
    }
  }

  static void add_host(PassCost& cost, Seconds host) {
    cost.issue += host;
    cost.host += host_wait(cost.total(), host);
  }

  const StepShape& s_;
  const Network& network_;
  const GroupTable& groups_;
  const GpuSpec& gpu_;
  bool accounts_;
};

// One layer's (or the embedding's, or the head's) passes.
StageCost price_part(const Pricer& pricer, const LayerOperators& ops, Seconds forward_host,
                     double backward_factor, bool recompute, bool split) {
  StageCost part;
  part.forward = pricer.price(ops.forward, forward_host, true);
  const Seconds backward_host = forward_host * backward_factor;
  const double third = split ? 1.0 / 3 : 0;  // weight gradients are a third of the backward's kernels
  part.backward = pricer.price(ops.backward, backward_host, true);
  if (split) {
    part.input_gradient = pricer.price(ops.input_gradient, backward_host * (1 - third), true);
    part.weight_gradient = pricer.price(ops.weight_gradient, backward_host * third, true);
  }
  if (recompute && !ops.recompute.empty()) {
    // The host issues the recomputed kernels too, in proportion to the forward's.
    const double share = static_cast<double>(ops.recompute.size()) / static_cast<double>(ops.forward.size());
    const StagePass again = pricer.price(ops.recompute, forward_host * share, false);
    part.backward.add(again, 1);
    if (split) part.input_gradient.add(again, 1);
  }
  return part;
}

// What a layer keeps moves over the GPU's link to the host while the layer computes; exposed is what takes longer.
void add_offload(StageCost& layer, Bytes kept, Bandwidth host_link, bool split) {
  const Seconds move = kept / host_link;
  const auto expose = [&](StagePass& pass) {
    pass.cost.offload += std::max(Seconds(0), move - pass.cost.total());
  };
  expose(layer.forward);
  expose(layer.backward);
  if (split) expose(layer.input_gradient);
}

void add_stage(StageCost& stage, const StageCost& part, double times) {
  stage.forward.add(part.forward, times);
  stage.backward.add(part.backward, times);
  stage.input_gradient.add(part.input_gradient, times);
  stage.weight_gradient.add(part.weight_gradient, times);
}

}  // namespace

// The priced layers of a model: each kind once, by experts, window and recomputation.
class LayerPrices::Table {
 public:
  Table(const StepShape& s, const Network& network, const GroupTable& groups, bool split, bool accounts)
      : s_(s), split_(split) {
    const Pricer pricer(s_, network, groups, accounts);
    for (std::int64_t layer = 0; layer < s.model->layers; ++layer) {
      Entry& entry = entry_of(layer);
      if (!entry.priced)
        price(pricer, entry, s.model->layer_is_moe(layer), s.model->layer_is_windowed(layer));
    }
    const double back = s.profile->host_backward;
    embedding_ = price_part(pricer, embedding_operators(s), pricer.host_time(0.1), back, false, split);
    end_ = price_part(pricer, head_operators(s), pricer.host_time(0.2), back, false, split);
    if (s.model->predicted_tokens == 0) return;
    // Each module of multi-token prediction: its own norms and projection, a layer, and the shared head again.
    StageCost module = end_;
    add_stage(module, at(s.model->layers - 1, 0), 1);
    add_stage(module, price_part(pricer, prediction_operators(s), pricer.host_time(0.2), back, false, split),
              1);
    add_stage(end_, module, static_cast<double>(s.model->predicted_tokens));
  }

  // `place`: of the layer in its stage.
  const StageCost& at(std::int64_t layer, std::int64_t place) const {
    const Recompute& r = s_.training->recompute;
    const bool again = r.kind != Recompute::Kind::none &&
                       (r.kind != Recompute::Kind::full || r.layers == 0 || place < r.layers);
    const Entry& entry = entries_[index_of(layer)];
    return again ? entry.recomputed : entry.kept;
  }
  const StageCost& embedding() const { return embedding_; }
  const StageCost& end() const { return end_; }  // head, loss and multi-token prediction

 private:
  struct Entry {
    bool priced = false;
    StageCost kept, recomputed;
  };

  std::size_t index_of(std::int64_t layer) const {
    return (s_.model->layer_is_moe(layer) ? 2U : 0U) + (s_.model->layer_is_windowed(layer) ? 1U : 0U);
  }
  Entry& entry_of(std::int64_t layer) { return entries_[index_of(layer)]; }

  void price(const Pricer& pricer, Entry& entry, bool moe, bool windowed) {
    const double back = s_.profile->host_backward;
    const LayerOperators ops = layer_operators(s_, moe, windowed);
    const Seconds host = moe ? pricer.moe_host_time(1) : pricer.host_time(1);
    entry.priced = true;
    entry.kept = price_part(pricer, ops, host, back, false, split_);
    entry.recomputed = s_.training->recompute.kind == Recompute::Kind::none
                           ? entry.kept
                           : price_part(pricer, ops, host, back, true, split_);
    if (!s_.training->offload.activations) return;
    TrainingSpec keeping_all = *s_.training;
    keeping_all.recompute = Recompute{};
    const Bandwidth link = pricer.host_link();
    add_offload(entry.kept, layer_activation_bytes(*s_.model, *s_.layout, keeping_all, moe), link, split_);
    add_offload(entry.recomputed, layer_activation_bytes(*s_.model, *s_.layout, *s_.training, moe), link,
                split_);
  }

  StepShape s_;
  bool split_;
  std::array<Entry, 4> entries_;
  StageCost embedding_, end_;
};

namespace {

// ZeRO-3 / FSDP on one pass of `layers` equal layers: all-gathers run one layer ahead; the first is exposed, the
// others as far as they outlast a layer; compute is slowed while both run.
void shard_pass(StagePass& pass, double layers, Seconds layer, Seconds gather, Seconds reduce, Bytes gathered,
                Bytes reduced, double slowdown, bool overlap) {
  const Seconds each = gather + reduce;
  const Seconds overlapped = overlap ? std::min(each, layer) : Seconds(0);
  const Seconds slowed = layer + overlapped * slowdown;
  const Seconds exposed_each = overlap ? std::max(Seconds(0), each - slowed) : each;
  const Seconds first = gather,
                last = reduce;  // nothing runs before the first gather and after the last reduce
  const Seconds exposed = first + last + (layers - 1) * exposed_each;
  pass.cost.data += exposed + layers * overlapped * slowdown;
  const double total = layers * each.value;
  const double share = total > 0 ? std::min(1.0, exposed.value / total) : 0;
  if (gather.value > 0)
    record(pass.communication,
           {CommunicationGroup::data, Collective::all_gather, layers, layers * gathered, layers * gather,
            layers * gather * share},
           1);
  if (reduce.value > 0)
    record(pass.communication,
           {CommunicationGroup::data, Collective::reduce_scatter, layers, layers * reduced, layers * reduce,
            layers * reduce * share},
           1);
}

void add_sharding(StageCost& stage, const StepShape& s, const Network& network, const GroupTable& groups,
                  const StageCost& layer, double layers, bool moe, bool split) {
  if (layers < 1 || groups.shard.ranks < 2) return;
  const RankParameters share = layer_rank_parameters(*s.model, *s.layout, moe);
  const SoftwareProfile& profile = *s.profile;
  const Seconds launch = profile.collective_launch;
  const double width = gather_bytes(profile, *s.training->precision);
  const Bytes dense(share.dense * profile.reduce_bytes), expert(share.expert * profile.reduce_bytes);
  const Bytes reduced = dense + expert, gathered((share.dense + share.expert) * width);
  Seconds gather = parameter_gather(network, profile, Bytes(share.dense * width), groups.shard);
  Seconds reduce = network.collective(Collective::reduce_scatter, dense, groups.shard, launch).time;
  if (share.expert > 0) {  // experts are sharded over their own replicas
    gather += parameter_gather(network, profile, Bytes(share.expert * width), groups.expert_data);
    reduce += network.collective(Collective::reduce_scatter, expert, groups.expert_data, launch).time;
  }
  if (groups.copies.ranks > 1)
    reduce +=
        network.collective(Collective::all_reduce, dense / groups.shard.ranks, groups.copies, launch).time;
  const double slowdown = network.fabric().node().gpu.kernels.overlap_slowdown * groups.data_share;
  const auto add = [&](StagePass& pass, const StagePass& one, Seconds gathering, Seconds reducing) {
    shard_pass(pass, layers, one.cost.total(), gathering, reducing, gathered, reduced, slowdown,
               s.training->overlap.data);
  };
  add(stage.forward, layer.forward, gather, Seconds(0));
  add(stage.backward, layer.backward, gather, reduce);
  if (!split) return;
  add(stage.input_gradient, layer.input_gradient, gather, Seconds(0));    // dX = dY W needs the parameters,
  add(stage.weight_gradient, layer.weight_gradient, Seconds(0), reduce);  // dW = X dY makes the gradients
}

// Embedding and head belong to FSDP's root unit: the embedding's gather opens the step and its reduction ends it;
// the head's run beside layers.
void shard_table(StageCost& stage, const StepShape& s, const Network& network, const GroupTable& groups,
                 bool exposed, bool split) {
  if (groups.shard.ranks < 2) return;
  const SoftwareProfile& profile = *s.profile;
  const double table = static_cast<double>(s.model->vocabulary * s.model->hidden) / s.layout->tensor;
  const Bytes gathered(table * profile.gather_bytes), reduced(table * profile.reduce_bytes);
  const Seconds gather = parameter_gather(network, profile, gathered, groups.shard);
  const Seconds reduce =
      network.collective(Collective::reduce_scatter, reduced, groups.shard, profile.collective_launch).time;
  const double share = exposed || !s.training->overlap.data
                           ? 1
                           : network.fabric().node().gpu.kernels.overlap_slowdown * groups.data_share;
  StagePass& last = split ? stage.weight_gradient : stage.backward;
  stage.forward.cost.data += gather * share;
  last.cost.data += reduce * share;
  record(stage.forward.communication,
         {CommunicationGroup::data, Collective::all_gather, 1, gathered, gather, gather * share}, 1);
  record(last.communication,
         {CommunicationGroup::data, Collective::reduce_scatter, 1, reduced, reduce, reduce * share}, 1);
}

}  // namespace

double gather_bytes(const SoftwareProfile& profile, const Precision& precision) {
  return profile.narrow_parameter_gather && precision.narrow ? precision.gemm_element : profile.gather_bytes;
}

Seconds parameter_gather(const Network& network, const SoftwareProfile& profile, Bytes size,
                         const GroupLinks& group) {
  if (group.ranks < 2) return Seconds(0);
  return network.collective(Collective::all_gather, size, group, profile.collective_launch).time +
         group.ranks * profile.owner_overhead;
}

std::vector<std::vector<StagePart>> stage_parts(const StepShape& s, const ScheduleSpec& schedule,
                                                const Network& network, const GroupTable& groups,
                                                bool split) {
  const Pricer pricer(s, network, groups, true);
  const LayerPrices::Table layers(s, network, groups, split, true);
  const auto part = [&](std::string name, const StageCost& cost, const LayerOperators& ops, bool again) {
    StagePart out{std::move(name),
                  {cost.forward.cost.total(), pricer.operators(ops.forward)},
                  {cost.backward.cost.total(), again ? pricer.operators(ops.recompute) : std::vector<PricedOperator>{}},
                  {},
                  {}};
    out.input_gradient = {cost.input_gradient.cost.total(), out.backward.operators};
    const auto append = [&](PartPass& pass, const OperatorList& list) {
      const std::vector<PricedOperator> more = pricer.operators(list);
      pass.operators.insert(pass.operators.end(), more.begin(), more.end());
    };
    append(out.backward, ops.backward);
    append(out.input_gradient, ops.input_gradient);
    out.weight_gradient = {cost.weight_gradient.cost.total(), pricer.operators(ops.weight_gradient)};
    return out;
  };
  const Recompute& recompute = s.training->recompute;
  std::vector<std::vector<StagePart>> parts(schedule.stage_layers.size());
  std::int64_t layer = 0;
  for (std::size_t stage = 0; stage < parts.size(); ++stage) {
    if (stage == 0) parts[stage].push_back(part("embedding", layers.embedding(), embedding_operators(s), false));
    for (std::int64_t i = 0; i < schedule.stage_layers[stage]; ++i, ++layer) {
      const LayerOperators ops =
          layer_operators(s, s.model->layer_is_moe(layer), s.model->layer_is_windowed(layer));
      const bool again = recompute.kind != Recompute::Kind::none &&
                         (recompute.kind != Recompute::Kind::full || recompute.layers == 0 || i < recompute.layers);
      parts[stage].push_back(part("L" + std::to_string(layer), layers.at(layer, i), ops, again));
    }
    if (stage + 1 == parts.size()) parts[stage].push_back(part("head", layers.end(), head_operators(s), false));
  }
  return parts;
}

PassCost fused_cost(const PassCost& forward, const PassCost& backward, double slowdown) {
  PassCost both = forward;
  both += backward;
  const Seconds hidden = std::min(both.expert, both.compute);
  both.expert = both.expert - hidden;
  both.compute += hidden * slowdown;
  both.host = host_wait(both.gpu(), both.issue);
  return both;
}

PassCost& PassCost::operator+=(const PassCost& o) {
  compute += o.compute;
  tensor += o.tensor;
  context += o.context;
  expert += o.expert;
  data += o.data;
  host += o.host;
  offload += o.offload;
  issue += o.issue;
  return *this;
}

PassCost operator*(double k, PassCost c) {
  c.compute *= k;
  c.tensor *= k;
  c.context *= k;
  c.expert *= k;
  c.data *= k;
  c.host *= k;
  c.offload *= k;
  c.issue *= k;
  return c;
}

void StagePass::add(const StagePass& other, double times) {
  cost += times * other.cost;
  model_flops += times * other.model_flops;
  hardware_flops += times * other.hardware_flops;
  for (const CommunicationUse& use : other.communication) record(communication, use, times);
}

GroupTable GroupTable::of(const Network& network, const Layout& l, const Sharding& sharding, int copies) {
  GroupTable t;
  const int world = l.world();
  t.tensor = network.group(l.group(Axis::tensor), world / l.tensor);
  t.context = network.group(l.group(Axis::context), world / l.context);
  // Both pipeline ranks of a stage that lies on two: the first and the last, the farthest pair.
  const auto mirrored = [&](std::vector<RankId> ranks) {
    if (copies < 2) return ranks;
    const int far = (l.pipeline - 1) * l.stride(Axis::pipeline);
    const std::size_t here = ranks.size();
    for (std::size_t i = 0; i < here; ++i) ranks.emplace_back(ranks[i].value + far);
    std::sort(ranks.begin(), ranks.end());
    return ranks;
  };
  const std::vector<RankId> replicas = mirrored(l.group(Axis::context, Axis::data, 0));
  if (l.pipeline > 1)
    t.ends =
        network.group(std::vector{l.rank(0, 0, 0, 0), l.rank(0, 0, l.pipeline - 1, 0)}, world / l.pipeline);
  t.data = network.group(replicas, world / static_cast<int>(replicas.size()));
  // Experts fold over tensor, context and data ranks of one stage, in rank order.
  std::vector<RankId> inside;
  for (int d = 0; d < l.data; ++d)
    for (int c = 0; c < l.context; ++c)
      for (int x = 0; x < l.tensor; ++x) inside.push_back(l.rank(x, c, 0, d));
  std::sort(inside.begin(), inside.end());
  std::vector<RankId> experts;
  for (int e = 0; e < l.expert; ++e) experts.push_back(inside[static_cast<std::size_t>(e * l.expert_tensor)]);
  t.expert = network.group(experts, world / l.expert);
  t.expert_tensor = network.group(std::span(inside).first(static_cast<std::size_t>(l.expert_tensor)),
                                  world / l.expert_tensor);
  std::vector<RankId> replicas_of_expert;
  for (std::size_t i = 0; i < inside.size(); i += static_cast<std::size_t>(l.expert * l.expert_tensor))
    replicas_of_expert.push_back(inside[i]);
  replicas_of_expert = mirrored(std::move(replicas_of_expert));
  t.expert_data = network.group(replicas_of_expert, world / static_cast<int>(replicas_of_expert.size()));
  t.shard = t.data;
  if (sharding.group > 0 && sharding.group < static_cast<int>(replicas.size())) {
    const auto group = static_cast<std::size_t>(std::max(1, sharding.group));
    t.shard = network.group(std::span(replicas).first(group), world / static_cast<int>(group));
    std::vector<RankId> others;
    for (std::size_t i = 0; i < replicas.size(); i += group) others.push_back(replicas[i]);
    t.copies = network.group(others, world / static_cast<int>(others.size()));
  }
  t.data_share = link_share(t.data);
  return t;
}

double link_share(const GroupLinks& links) {
  if (links.domains == 1 || links.intra.value <= 0) return links.ranks > 1 ? 1 : 0;
  return std::min(1.0, links.inter * links.ranks_per_domain / links.intra);
}

const GroupLinks& GroupTable::operator[](CommunicationGroup g) const {
  switch (g) {
    case CommunicationGroup::tensor:
      return tensor;
    case CommunicationGroup::context:
      return context;
    case CommunicationGroup::expert:
      return expert;
    case CommunicationGroup::expert_tensor:
      return expert_tensor;
    default:
      return data;
  }
}

LayerPrices::LayerPrices(const StepShape& s, const Network& network, const GroupTable& groups, bool split,
                         bool accounts)
    : table_(std::make_shared<Table>(s, network, groups, split, accounts)), split_(split) {}

StageCost LayerPrices::stage(const StepShape& s, const ScheduleSpec& schedule, const Network& network,
                             const GroupTable& groups, int stage) const {
  const bool sharded = s.training->sharding.shards_parameters();
  const bool last = stage + 1 == static_cast<int>(schedule.stage_layers.size());
  const auto [first, end] = layers_of_stage(schedule, stage);
  StageCost cost;
  StageCost of_kind[2];  // dense | moe
  double number[2] = {0, 0};
  for (std::int64_t layer = first; layer < end; ++layer) {
    const int kind = s.model->layer_is_moe(layer) ? 1 : 0;
    add_stage(of_kind[kind], table_->at(layer, layer - first), 1);
    number[kind] += 1;
  }
  for (int kind = 0; kind < 2; ++kind) {
    if (number[kind] == 0) continue;
    add_stage(cost, of_kind[kind], 1);
    if (!sharded) continue;
    StageCost mean;
    add_stage(mean, of_kind[kind], 1 / number[kind]);
    add_sharding(cost, s, network, groups, mean, number[kind], kind == 1, split_);
  }
  if (sharded && stage == 0) shard_table(cost, s, network, groups, true, split_);
  if (sharded && last && !s.model->tied_embeddings) shard_table(cost, s, network, groups, false, split_);
  if (stage == 0) add_stage(cost, table_->embedding(), 1);
  if (last) add_stage(cost, table_->end(), 1);
  return cost;
}

std::vector<StageCost> stage_costs(const StepShape& s, const ScheduleSpec& schedule, const Network& network,
                                   const GroupTable& groups, bool split) {
  const LayerPrices layers(s, network, groups, split, true);
  const StageKinds kinds = stage_kinds(*s.model, schedule.stage_layers);
  std::vector<StageCost> of_kind, costs;
  for (const int example : kinds.example)
    of_kind.push_back(layers.stage(s, schedule, network, groups, example));
  for (const int kind : kinds.of_stage) costs.push_back(of_kind[static_cast<std::size_t>(kind)]);
  return costs;
}

}  // namespace runcast
