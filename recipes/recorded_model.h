// What a result record says of the model that was measured.
#pragma once

#include "core/model_file/gguf.h"
#include "results/result_record.h"

namespace edgellm {

// Hashes the whole file, about a second per 3 GB. The method is the preset whose types the file has, whoever
// wrote it, or else "mostly TYPE".
Result<RecordedModel> describe_model(const GgufFile& file);

}  // namespace edgellm
