//! The activation functions of transformers' `ACT2FN` (`activations.py`, 5.23).

/// A function applied to every element of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// GELU with the error function: `x / 2 * (1 + erf(x / sqrt 2))`.
    Gelu,
    /// [`Self::Gelu`] clipped to -10 to 10.
    GeluClipped,
    /// GELU with tanh.
    GeluTanh,
    /// `x * clip(x + 3, 0, 6) / 6`.
    HardSwish,
    /// `(1 + erf((x - 0.707107) / (0.282095 * sqrt 2))) / 2`.
    Laplace,
    /// `x`, or `0.01 x` below 0.
    LeakyRelu,
    /// `x * tanh(ln(1 + e^x))`.
    Mish,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    ReluSquared,
    /// `clip(x, 0, 6)`.
    Relu6,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x * sigmoid(x)`.
    Silu,
    /// `sqrt(ln(1 + e^x))`.
    SqrtSoftplus,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The activation that transformers calls `name` in `hidden_act`. It also knows `prelu` and `xielu`,
    /// which have weights of their own; no model of ours has them.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_10" => Self::GeluClipped,
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh"
            | "gelu_python_tanh" => Self::GeluTanh,
            "hardswish" => Self::HardSwish,
            "laplace" => Self::Laplace,
            "leaky_relu" => Self::LeakyRelu,
            "linear" => Self::Identity,
            "mish" => Self::Mish,
            "quick_gelu" => Self::QuickGelu,
            "relu" => Self::Relu,
            "relu2" => Self::ReluSquared,
            "relu6" => Self::Relu6,
            "sigmoid" => Self::Sigmoid,
            "silu" | "swish" => Self::Silu,
            "sqrtsoftplus" => Self::SqrtSoftplus,
            "tanh" => Self::Tanh,
            _ => return None,
        })
    }

    /// The activation of PyTorch's class `name`, as sentence-transformers writes it in the settings of
    /// a Dense module, such as `torch.nn.modules.activation.Tanh`.
    pub fn from_torch_class(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("torch.nn.modules.")? {
            "linear.Identity" => Self::Identity,
            "activation.GELU" => Self::Gelu,
            "activation.Hardswish" => Self::HardSwish,
            "activation.LeakyReLU" => Self::LeakyRelu,
            "activation.Mish" => Self::Mish,
            "activation.ReLU" => Self::Relu,
            "activation.ReLU6" => Self::Relu6,
            "activation.Sigmoid" => Self::Sigmoid,
            "activation.SiLU" => Self::Silu,
            "activation.Tanh" => Self::Tanh,
            _ => return None,
        })
    }
}
