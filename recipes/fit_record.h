// The result record of a fit, out of its report.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "results/result_record.h"

namespace edgellm {

// Sets kind, method, source, data, settings, run and figures; the rest of the record is left as it is.
// report: as fit() returns it.
void fill_fit_record(const nlohmann::json& report, ResultRecord& record);

}  // namespace edgellm
