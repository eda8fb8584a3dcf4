// What libtorch's headers ask of gloo and its wheel does not bring: declarations alone. The code is in libtorch_cpu.
#pragma once

namespace gloo {
class Algorithm;
}
