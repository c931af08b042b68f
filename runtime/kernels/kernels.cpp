#include "runtime/kernels/kernels.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/generic/generic.h"
#if defined(__x86_64__)
#include "runtime/kernels/avx2/avx2.h"
#include "runtime/kernels/avx512/avx512.h"
#endif
#if defined(__aarch64__)
#include <sys/auxv.h>

#include "runtime/kernels/neon/neon.h"
#endif

namespace edgellm {

ActivationFormat activation_format(TensorType weights, size_t) {
  switch (weights) {
    case TensorType::Q4_0:
    case TensorType::Q4_1:
    case TensorType::Q5_0:
    case TensorType::Q5_1:
    case TensorType::Q8_0:
    case TensorType::IQ4_NL:
    case TensorType::Q2_0:
      return ActivationFormat::q8_32;
    case TensorType::Q2_K:
    case TensorType::Q3_K:
    case TensorType::Q4_K:
    case TensorType::Q5_K:
    case TensorType::Q6_K:
    case TensorType::IQ4_XS:
    case TensorType::IQ2_XXS:
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
    case TensorType::IQ3_XXS:
    case TensorType::IQ3_S:
    case TensorType::IQ1_S:
    case TensorType::IQ1_M:
      return ActivationFormat::q8_256;
    default:
      return ActivationFormat::f32;
  }
}

size_t activation_bytes(ActivationFormat format, size_t n_columns) {
  return activation_planes(format, n_columns).n_bytes;
}

namespace {

#define EDGELLM_KERNEL_TABLE(isa, name)                                                             \
  Kernels {                                                                                         \
    name, isa::quantize_activations, isa::matrix_product, isa::scratch_bytes, isa::attention,       \
        isa::attention_scratch_bytes, isa::rms_norm, isa::rope_interleaved, isa::rope_halves,       \
        isa::silu_times, isa::gelu_times, isa::add, isa::halves_from_floats, isa::q8_0_from_floats, \
        isa::sequence_attention, isa::sequence_attention_scratch_bytes, isa::layer_norm, isa::gelu, \
        isa::gelu_tanh, isa::relu                                                                   \
  }

constexpr Kernels kGeneric = EDGELLM_KERNEL_TABLE(generic, "generic");
#if defined(__x86_64__)
constexpr Kernels kAvx2 = EDGELLM_KERNEL_TABLE(avx2, "avx2");
constexpr Kernels kAvx512 = EDGELLM_KERNEL_TABLE(avx512, "avx512");

// __builtin_cpu_supports also asks the system whether it saves the registers; it does not know F16C, which
// every CPU with AVX2 has.
bool cpu_has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
bool cpu_has_avx512() {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}
#endif

#if defined(__aarch64__)
constexpr Kernels kNeon = EDGELLM_KERNEL_TABLE(neon, "neon");
constexpr Kernels neon_with_i8mm() {
  Kernels table = kNeon;
  table.name = "neon-i8mm";
  table.matrix_product = neon::matrix_product_i8mm;
  return table;
}
constexpr Kernels kNeonI8mm = neon_with_i8mm();

bool cpu_has_dotprod() {
  constexpr unsigned long kNeeded = HWCAP_ASIMDDP | HWCAP_ASIMDHP | HWCAP_FPHP;
  return (getauxval(AT_HWCAP) & kNeeded) == kNeeded;
}
bool cpu_has_i8mm() {
  return cpu_has_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
}
#endif

// Slowest first.
const std::vector<const Kernels*>& usable() {
  static const std::vector<const Kernels*> tables = [] {
    std::vector<const Kernels*> found = {&kGeneric};
#if defined(__x86_64__)
    if (cpu_has_avx2()) found.push_back(&kAvx2);
    if (cpu_has_avx512()) found.push_back(&kAvx512);
#endif
#if defined(__aarch64__)
    if (cpu_has_dotprod()) found.push_back(&kNeon);
    if (cpu_has_i8mm()) found.push_back(&kNeonI8mm);
#endif
    return found;
  }();
  return tables;
}

struct Choice {
  const Kernels* kernels;
  Status status;
};

const Choice& choice() {
  static const Choice chosen = [] {
    const char* wanted = std::getenv("EDGELLM_ISA");
    Choice best = {usable().back(), {}};
    if (!wanted || !*wanted) return best;
    std::string names;
    for (const Kernels* table : usable()) {
      if (std::string_view(table->name) == wanted) return Choice{table, {}};
      names += names.empty() ? "" : ", ";
      names += table->name;
    }
    best.status = Error{"EDGELLM_ISA is \"" + std::string(wanted) + "\"; this CPU can run " + names};
    return best;
  }();
  return chosen;
}

}  // namespace

const Kernels& kernels() {
  return *choice().kernels;
}
Status kernels_status() {
  return choice().status;
}
std::span<const Kernels* const> usable_kernels() {
  return usable();
}

}  // namespace edgellm
