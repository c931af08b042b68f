#include "compress/torch_model/torch_archive.h"

#include "core/base/output_file.h"

namespace edgellm {

Status write_archive(torch::serialize::OutputArchive& archive, const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  Status written;
  // The archive's writer ends the process where it is told of an error while it is destroyed.
  archive.save_to([&](const void* bytes, size_t n) {
    if (written.ok()) written = file.write({static_cast<const std::byte*>(bytes), n});
    return n;
  });
  EDGELLM_RETURN_IF_ERROR(written);
  return file.commit();
}

}  // namespace edgellm
