#include <fstream>

#include "core/base/temporary_folder.h"
#include "core/text/tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

// The reader wants a folder; one of the process's own is kept for all inputs.
const std::filesystem::path& folder() {
  static const edgellm::TemporaryFolder kFolder = *edgellm::TemporaryFolder::create("fuzz");
  return kFolder.path();
}

}  // namespace

// A tokenizer that is accepted encodes and decodes any text.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const std::string_view text = edgellm::as_text(data, n_bytes);
  std::ofstream(folder() / "tokenizer.json", std::ios::binary | std::ios::trunc)
      .write(text.data(), static_cast<std::streamsize>(n_bytes));
  edgellm::Metadata metadata;
  if (!edgellm::tokenizer_metadata_from_hf(folder(), metadata).ok()) return 0;
  const auto tokenizer = edgellm::Tokenizer::from_metadata(metadata);
  if (!tokenizer.ok()) return 0;
  for (const std::string_view sample : {std::string_view("Hello, world! 123 \xff"), text.substr(0, 64)}) {
    const auto tokens = tokenizer->encode(sample, {true, true});
    tokenizer->decode(tokens, true);
  }
  return 0;
}
