#include "core/base/output_file.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/write_failure.h"

namespace edgellm {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

Error failed(std::string_view what, const std::filesystem::path& path) {
  return {fmt::format("cannot {} {}: {}", what, path.string(), write_failure(errno))};
}

// Before the number of the process that writes it.
constexpr std::string_view kPartial = ".partial-";

bool is_running(std::string_view process) {
  pid_t id = 0;
  const auto [end, error] = std::from_chars(process.data(), process.data() + process.size(), id);
  if (error != std::errc() || end != process.data() + process.size() || id <= 0) return true;
  return ::kill(id, 0) == 0 || errno != ESRCH;
}

// What killed processes left of this file. Another machine's process may not be known here, but it holds its
// lock.
void remove_abandoned(const std::filesystem::path& path) {
  std::error_code code;
  const std::string start = path.filename().string() + std::string(kPartial);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::vector<std::filesystem::path> abandoned;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(start) && !is_running(std::string_view(name).substr(start.size())))
      abandoned.push_back(entry->path());
  }
  for (const auto& file : abandoned) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(file.c_str());
    ::close(descriptor);
  }
}

Status write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write", path);
    bytes = bytes.subspan(size_t(n));
  }
  return {};
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  OutputFile file;
  std::error_code code;
  file.path_ = path;
  if (std::filesystem::is_symlink(path, code)) {
    file.path_ = std::filesystem::weakly_canonical(path, code);
    if (code) return Error{fmt::format("cannot write {}: {}", path.string(), code.message())};
  }
  file.temporary_ = file.path_;
  file.temporary_ += fmt::format("{}{}", kPartial, ::getpid());
  if (std::filesystem::is_directory(path, code))
    return Error{fmt::format("cannot write {}: it is a folder", path.string())};
  // Renaming over /dev/null would take it away from the whole system.
  if (std::filesystem::exists(path, code) && !std::filesystem::is_regular_file(path, code))
    return Error{fmt::format("cannot write {}: it is no regular file", path.string())};
  if (std::filesystem::exists(path, code) && ::access(path.c_str(), W_OK) != 0) return failed("write", path);
  file.descriptor_ = ::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) return failed("write", path);
  ::flock(file.descriptor_, LOCK_EX | LOCK_NB);
  remove_abandoned(file.path_);
  file.buffer_.reserve(kBufferBytes);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      n_flushed_(other.n_flushed_),
      buffer_(std::move(other.buffer_)) {}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) EDGELLM_RETURN_IF_ERROR(flush());
  if (bytes.size() > kBufferBytes) {
    EDGELLM_RETURN_IF_ERROR(write_all(descriptor_, bytes, path_));
    n_flushed_ += bytes.size();
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
  return {};
}

Status OutputFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text)));
}

Status OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  EDGELLM_RETURN_IF_ERROR(flush());
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), off_t(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write", path_);
    bytes = bytes.subspan(size_t(n));
    offset += uint64_t(n);
  }
  return {};
}

Status OutputFile::pad_to(size_t alignment) {
  static constexpr std::byte kZeros[4096] = {};
  size_t left = (alignment - n_written() % alignment) % alignment;
  while (left) {
    size_t n = std::min(left, sizeof kZeros);
    EDGELLM_RETURN_IF_ERROR(write(std::span(kZeros, n)));
    left -= n;
  }
  return {};
}

Status OutputFile::flush() {
  EDGELLM_RETURN_IF_ERROR(write_all(descriptor_, buffer_, path_));
  n_flushed_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status OutputFile::commit() {
  EDGELLM_RETURN_IF_ERROR(flush());
  if (::fsync(descriptor_) != 0 && errno != EINVAL) return failed("write", path_);
  if (::close(std::exchange(descriptor_, -1)) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Error error = failed("write", path_);
    ::unlink(temporary_.c_str());
    return error;
  }
  return {};
}

Status check_is_no_input(const std::filesystem::path& output, std::span<const std::filesystem::path> inputs) {
  std::error_code code;
  for (const auto& input : inputs)
    if (std::filesystem::equivalent(output, input, code))
      return Error{fmt::format("cannot write {}: it is the input {}", output.string(), input.string())};
  return {};
}

Status check_output(const std::filesystem::path& output, std::span<const std::filesystem::path> inputs) {
  if (output.empty()) return {};
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, inputs));
  EDGELLM_ASSIGN_OR_RETURN(OutputFile probe, OutputFile::create(output));
  return {};
}

Status write_text_file(const std::filesystem::path& path, std::string_view text) {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  EDGELLM_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

Result<std::string> read_text_file(const std::filesystem::path& path, uint64_t most_bytes) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code))
    return Error{fmt::format("cannot read {}: it is a folder", path.string())};
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return failed("read", path);
  std::string text;
  char chunk[1 << 16];
  while (in.read(chunk, sizeof chunk), in.gcount() > 0) {
    text.append(chunk, size_t(in.gcount()));
    if (text.size() > most_bytes)
      return Error{fmt::format("cannot read {}: over {} bytes", path.string(), most_bytes)};
  }
  if (in.bad()) return failed("read", path);
  return text;
}

}  // namespace edgellm
