#include "compress/train/teacher_logits.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>

#include "core/base/output_file.h"

namespace edgellm {
namespace {

// Log of what is left of 1 beside probabilities [n, k] given by their logs; never of nothing.
at::Tensor log_of_rest(const at::Tensor& log_probabilities) {
  constexpr double kLeast = 1e-9;
  return (1 - log_probabilities.exp().sum(-1)).clamp_min(kLeast).log();
}

}  // namespace

TeacherLogits::TeacherLogits(int64_t n_windows, int64_t n_tokens, int64_t n_vocabulary)
    : tokens_(at::zeros({n_windows, n_tokens, std::min(kLikeliest, n_vocabulary)}, at::kInt)),
      log_probabilities_(at::zeros(tokens_.sizes())),
      log_rest_(at::zeros({n_windows, n_tokens})) {}

void TeacherLogits::put(int64_t window, int64_t first, const at::Tensor& logits) {
  at::NoGradGuard no_grad;
  auto [log_p, tokens] = logits.log_softmax(-1).topk(tokens_.size(-1), -1);
  const int64_t n = logits.size(0);
  tokens_[window].narrow(0, first, n).copy_(tokens);
  log_probabilities_[window].narrow(0, first, n).copy_(log_p);
  log_rest_[window].narrow(0, first, n).copy_(log_of_rest(log_p));
}

TeacherRows TeacherLogits::rows(int64_t window, int64_t first, int64_t n) const {
  return {tokens_[window].narrow(0, first, n).to(at::kLong), log_probabilities_[window].narrow(0, first, n),
          log_rest_[window].narrow(0, first, n)};
}

Status TeacherLogits::save(const std::filesystem::path& path) const {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  for (const at::Tensor* part : {&tokens_, &log_probabilities_, &log_rest_})
    EDGELLM_RETURN_IF_ERROR(file.write({static_cast<const std::byte*>(part->data_ptr()), part->nbytes()}));
  return file.commit();
}

Status TeacherLogits::load(const std::filesystem::path& path) {
  std::error_code code;
  const uint64_t n_bytes = tokens_.nbytes() + log_probabilities_.nbytes() + log_rest_.nbytes();
  if (std::filesystem::file_size(path, code) != n_bytes || code)
    return Error{
        fmt::format("read {}: no logits of {} windows of {} tokens", path.string(), n_windows(), n_tokens())};
  std::ifstream in(path, std::ios::binary);
  for (at::Tensor* part : {&tokens_, &log_probabilities_, &log_rest_})
    in.read(static_cast<char*>(part->data_ptr()), std::streamsize(part->nbytes()));
  if (!in) return Error{fmt::format("read {}: cannot be read", path.string())};
  return {};
}

at::Tensor divergence_from_teacher(const at::Tensor& logits, const TeacherRows& teacher) {
  at::Tensor log_q = logits.log_softmax(-1).gather(-1, teacher.tokens.to(logits.device()));
  at::Tensor log_p = teacher.log_probabilities.to(logits.device()),
             log_p_rest = teacher.log_rest.to(logits.device());
  at::Tensor likeliest = (log_p.exp() * (log_p - log_q)).sum();
  at::Tensor rest = (log_p_rest.exp() * (log_p_rest - log_of_rest(log_q))).sum();
  return likeliest + rest;
}

}  // namespace edgellm
