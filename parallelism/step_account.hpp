// The accounts of a simulated step: communication by group and collective on the rank that ends last, model FLOPs,
// MFU and HFU. Nothing here moves the clock. Private to training_step.
#pragma once

#include "parallelism/step_work.hpp"

namespace runcast {

// Needs result.last_rank, time, breakdown and trace.
void write_accounts(StepResult& result, const StepInput&, const PipelineSchedule&, const GroupTable&,
                    const std::vector<StageCost>&, const StepWork&);

}  // namespace runcast
