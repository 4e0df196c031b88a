#include "scenarios/throughput_grade.hpp"

#include <algorithm>

#include "scenarios/accuracy.hpp"
#include "scenarios/published.hpp"

namespace runcast {

namespace {
constexpr std::size_t kLeastLike = 8;
}

std::vector<PublishedMfu> published_mfus(const GpuSpec& gpu, const Precision& precision,
                                         const Library& library) {
  std::vector<PublishedMfu> list;
  for (const PublishedRow& row : published_rows(library).rows) {
    if (row.hardware != gpu.name || row.precision != precision.name || !row.unusable.empty()) continue;
    if (!(row.measured_step_s > 0) || row.gpus <= 0) continue;
    try {
      const Model model = read_row(row, library, {}).model;
      const Flops flops = row.tokens() * training_flops_per_token(model, static_cast<double>(row.seq_len),
                                                                  FlopConvention::exact);
      const FlopRate rate = flops / Seconds(row.measured_step_s) / static_cast<double>(row.gpus);
      list.push_back(
          {row.id, row.model, row.is_moe(), static_cast<double>(row.gpus), rate / peak_rate(gpu, precision)});
    } catch (const ConfigError&) {  // a layout that no scenario can express; `validate` lists these
    }
  }
  return list;
}

Grade grade_of(double mfu, bool experts, std::vector<PublishedMfu> published) {
  Grade grade;
  std::vector<PublishedMfu> like;
  for (const PublishedMfu& p : published)
    if (p.experts == experts) like.push_back(p);
  grade.same_kind = like.size() >= kLeastLike;
  if (!grade.same_kind) like = std::move(published);
  grade.rows = like.size();
  if (like.empty()) return grade;
  std::size_t below = 0;
  std::vector<double> mfus;
  grade.best = like.front();
  for (const PublishedMfu& p : like) {
    if (p.mfu < mfu) ++below;
    if (p.mfu > grade.best.mfu) grade.best = p;
    mfus.push_back(p.mfu);
  }
  grade.share = static_cast<double>(below) / static_cast<double>(like.size());
  grade.median = quantile(mfus, 0.5);
  grade.letter = grade.share >= 0.75 ? "A" : grade.share >= 0.5 ? "B" : grade.share >= 0.25 ? "C" : "D";
  return grade;
}

}  // namespace runcast
