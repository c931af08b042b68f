#include "compress/calibrate/hidden_store.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

#include "compress/torch_model/torch_call.h"
#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "core/base/write_failure.h"

namespace edgellm {
namespace {

Error failed(const char* what, const std::filesystem::path& folder) {
  return Error{fmt::format("cannot {} hidden states in {}: {}", what, folder.string(), write_failure(errno))};
}

std::span<std::byte> bytes_of(const at::Tensor& contiguous) {
  return {static_cast<std::byte*>(contiguous.data_ptr()),
          size_t(contiguous.numel()) * contiguous.element_size()};
}

}  // namespace

Result<HiddenStore> HiddenStore::in_memory(const HiddenShape& shape) {
  HiddenStore store(shape);
  EDGELLM_ASSIGN_OR_RETURN(
      store.memory_,
      torch_call(fmt::format("hidden states of {} bytes", shape.n_bytes()), [&]() -> Result<at::Tensor> {
        return at::empty({shape.n_windows, shape.n_tokens, shape.n_embedding}, shape.type);
      }));
  return store;
}

Result<HiddenStore> HiddenStore::in_file(const HiddenShape& shape, const std::filesystem::path& folder) {
  HiddenStore store(shape);
  store.folder_ = folder;
  std::string name = (folder / fmt::format("hidden-{}", ::getpid())).string();
  // Not every file system knows nameless files.
  store.descriptor_ = ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  if (store.descriptor_ < 0) {
    store.descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (store.descriptor_ < 0) return failed("keep", folder);
    ::unlink(name.c_str());
  }
  return store;
}

HiddenStore::HiddenStore(HiddenStore&& other) noexcept
    : shape_(other.shape_),
      memory_(std::move(other.memory_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      folder_(std::move(other.folder_)) {}

HiddenStore& HiddenStore::operator=(HiddenStore&& other) noexcept {
  std::swap(shape_, other.shape_);
  std::swap(memory_, other.memory_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(folder_, other.folder_);
  return *this;
}

HiddenStore::~HiddenStore() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<at::Tensor> HiddenStore::read_stored(int64_t first, int64_t n) const {
  if (is_in_memory()) return memory_.narrow(0, first, n);
  at::Tensor stored = at::empty({n, shape_.n_tokens, shape_.n_embedding}, shape_.type);
  std::span<std::byte> bytes = bytes_of(stored);
  uint64_t offset = uint64_t(first) * shape_.n_window_bytes();
  while (!bytes.empty()) {
    ssize_t n_read = ::pread(descriptor_, bytes.data(), bytes.size(), off_t(offset));
    if (n_read < 0 && errno == EINTR) continue;
    if (n_read == 0) errno = EIO;
    if (n_read <= 0) return failed("read", folder_);
    bytes = bytes.subspan(size_t(n_read));
    offset += uint64_t(n_read);
  }
  return stored;
}

Result<at::Tensor> HiddenStore::read(int64_t first, int64_t n) const {
  EDGELLM_ASSIGN_OR_RETURN(at::Tensor stored, read_stored(first, n));
  // A copy, also of float in memory: what is read must stay when the windows are written.
  return stored.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

Status HiddenStore::write(int64_t first, const at::Tensor& hidden) {
  if (is_in_memory()) {
    memory_.narrow(0, first, hidden.size(0)).copy_(hidden);
    return {};
  }
  at::Tensor stored = hidden.to(at::kCPU, shape_.type).contiguous();
  std::span<const std::byte> bytes = bytes_of(stored);
  uint64_t offset = uint64_t(first) * shape_.n_window_bytes();
  while (!bytes.empty()) {
    ssize_t n_written = ::pwrite(descriptor_, bytes.data(), bytes.size(), off_t(offset));
    if (n_written < 0 && errno == EINTR) continue;
    if (n_written < 0) return failed("keep", folder_);
    bytes = bytes.subspan(size_t(n_written));
    offset += uint64_t(n_written);
  }
  return {};
}

Status HiddenStore::save(const std::filesystem::path& path) const {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  for (int64_t window = 0; window < shape_.n_windows; ++window) {
    EDGELLM_ASSIGN_OR_RETURN(at::Tensor stored, read_stored(window, 1));
    EDGELLM_RETURN_IF_ERROR(file.write(bytes_of(stored)));
  }
  return file.commit();
}

Status HiddenStore::read_from(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  if (file.n_bytes() != shape_.n_bytes())
    return Error{fmt::format("hidden states in {}: wanted {} bytes, got {}", path.string(), shape_.n_bytes(),
                             file.n_bytes())};
  for (int64_t window = 0; window < shape_.n_windows; ++window) {
    std::span<const std::byte> bytes =
        file.bytes().subspan(size_t(window) * shape_.n_window_bytes(), shape_.n_window_bytes());
    at::Tensor stored = at::empty({1, shape_.n_tokens, shape_.n_embedding}, shape_.type);
    std::memcpy(stored.data_ptr(), bytes.data(), bytes.size());
    EDGELLM_RETURN_IF_ERROR(write(window, stored));
    file.give_back(bytes);
  }
  return {};
}

}  // namespace edgellm
