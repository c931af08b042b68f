#include "recipes/convert.h"

#include <fmt/format.h>

#include "core/model_file/hf_folder.h"

namespace edgellm {

Result<ConvertReport> convert_model(const std::filesystem::path& input, const std::filesystem::path& output,
                                    const ConvertOptions& options) {
  std::error_code code;
  if (!std::filesystem::exists(input, code))
    return Error{fmt::format("cannot open {}: no such file or folder", input.string())};
  if (HfFolder::looks_like_one(input)) return convert_hf_to_gguf(input, output, options);
  if (std::filesystem::is_directory(input, code))
    return Error{fmt::format("cannot convert {}: a model folder has a config.json", input.string())};
  return convert_gguf_to_hf(input, output, options);
}

}  // namespace edgellm
