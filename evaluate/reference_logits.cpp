#include "evaluate/reference_logits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fstream>

#include "core/base/content_hash.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "evaluate/log_probabilities.h"

namespace edgellm {
namespace {

constexpr float kDepth = 24.0f;  // nats below the largest that are told apart

struct Header {
  char magic[8] = {'E', 'D', 'G', 'E', 'R', 'E', 'F', '1'};
  char key[32] = {};  // content hash of the caller's key and the windows
  uint64_t n_vocabulary = 0;
  uint64_t n_windows = 0;
  uint64_t n_rows_per_window = 0;
};
static_assert(sizeof(Header) == 64);

Header header_for(size_t n_vocabulary, const TextWindows& text, const std::string& key) {
  std::string all = key;
  for (const auto& window : text.windows) all += hash_bytes(std::as_bytes(std::span(window)));
  Header header;
  std::string digits = hash_text(all);
  std::memcpy(header.key, digits.data(), sizeof header.key);
  header.n_vocabulary = n_vocabulary;
  header.n_windows = text.windows.size();
  header.n_rows_per_window = text.n_scored_per_window();
  return header;
}

// Reference logits of any version may be replaced, whatever else lies there may not.
Status check_is_free_or_logits(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return {};
  char magic[sizeof Header::magic - 1] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  if (std::memcmp(magic, Header().magic, sizeof magic) == 0) return {};
  return Error{
      fmt::format("{} exists and is no file of reference logits: it is not written over", path.string())};
}

}  // namespace

Result<PerplexityResult> ReferenceLogits::record(LanguageModel& reference, const TextWindows& text,
                                                 const std::string& key, const std::filesystem::path& path,
                                                 const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_is_free_or_logits(path));
  EDGELLM_ASSIGN_OR_RETURN(OutputFile out, OutputFile::create(path));
  Header header = header_for(reference.n_vocabulary(), text, key);
  EDGELLM_RETURN_IF_ERROR(out.write(std::as_bytes(std::span(&header, 1))));
  std::vector<uint16_t> codes((reference.n_vocabulary() + 3) / 4 * 4);
  std::vector<float> rounded(reference.n_vocabulary());
  PerplexityMeter perplexity;
  ProgressMeter meter(progress, "reference logits", double(text.windows.size()));
  for (const auto& window : text.windows) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_RETURN_IF_ERROR(reference.evaluate(
        window, text.first_row, [&](size_t position, std::span<const float> row) -> Status {
          if (position + 1 >= window.size()) return {};
          LogNormalizer normalizer = log_normalizer(row);
          perplexity.add(normalizer.log_sum_exp - double(row[size_t(window[position + 1])]));
          float scale[2] = {0, kDepth / 65535.0f};
          for (size_t i = 0; i < row.size(); ++i) {
            float below = std::min(normalizer.largest - row[i], kDepth);
            codes[i] = uint16_t(below * (65535.0f / kDepth) + 0.5f);
            rounded[i] = -scale[1] * float(codes[i]);
          }
          // Normalizing what is stored, not what was rounded, keeps the KL of an identical model at zero.
          scale[0] = -float(log_normalizer(rounded).log_sum_exp);
          EDGELLM_RETURN_IF_ERROR(out.write(std::as_bytes(std::span(scale))));
          return out.write(std::as_bytes(std::span(codes)));
        }));
    meter.add(1);
  }
  meter.finish();
  EDGELLM_RETURN_IF_ERROR(out.commit());
  PerplexityResult result = perplexity.value();
  result.n_windows = text.windows.size();
  return result;
}

Result<ReferenceLogits> ReferenceLogits::open(const std::filesystem::path& path, const TextWindows& text,
                                              const std::string& key) {
  EDGELLM_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  ReferenceLogits logits(std::move(file));
  Header header;
  if (logits.file_.n_bytes() < sizeof header)
    return Error{
        fmt::format("{} is no file of reference logits: {} bytes", path.string(), logits.file_.n_bytes())};
  std::memcpy(&header, logits.file_.bytes().data(), sizeof header);
  Header wanted = header_for(header.n_vocabulary, text, key);
  if (std::memcmp(&header, &wanted, sizeof header) != 0)
    return Error{fmt::format("{} holds the reference logits of another model or text", path.string())};
  logits.n_vocabulary_ = header.n_vocabulary;
  logits.n_rows_per_window_ = header.n_rows_per_window;
  logits.data_offset_ = sizeof header;
  uint64_t n_rows = header.n_windows * header.n_rows_per_window;
  if (header.n_vocabulary > (uint64_t{1} << 32) ||
      (logits.file_.n_bytes() - sizeof header) != n_rows * logits.row_bytes())
    return Error{fmt::format("{} is truncated: wanted {} rows of {} entries", path.string(), n_rows,
                             header.n_vocabulary)};
  return logits;
}

void ReferenceLogits::read_row(size_t window, size_t row, std::span<float> out) const {
  const std::byte* at =
      file_.bytes().data() + data_offset_ + (window * n_rows_per_window_ + row) * row_bytes();
  float scale[2];
  std::memcpy(scale, at, sizeof scale);
  const auto* codes = reinterpret_cast<const uint16_t*>(at + sizeof scale);
  for (size_t i = 0; i < n_vocabulary_; ++i) out[i] = scale[0] - scale[1] * float(codes[i]);
}

void ReferenceLogits::give_back(size_t window) const {
  size_t n = n_rows_per_window_ * row_bytes();
  file_.give_back(file_.bytes().subspan(data_offset_ + window * n, n));
}

}  // namespace edgellm
