#include "recipes/stored_model.h"

#include "core/base/interrupt.h"
#include "core/base/output_file.h"

namespace edgellm {

Status write_stored_model(const GgufFile& source, const QuantizationPlan& plan, CandidateStore& store,
                          const std::filesystem::path& output, const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, source.paths()));
  EDGELLM_ASSIGN_OR_RETURN(PlannedFile file, planned_file(source, plan));
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(output, file.metadata, file.tensors));
  ProgressMeter meter(progress, "writing", double(file.tensors.size()));
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(auto data, store.get(*file.sources[i], file.tensors[i].type));
    EDGELLM_RETURN_IF_ERROR(writer.write(data));
    meter.add(1);
  }
  store.give_back();
  meter.finish();
  return writer.commit();
}

}  // namespace edgellm
