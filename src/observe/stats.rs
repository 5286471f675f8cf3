//! What is shown of proxies and servers: plain values by HAProxy's names and in its order (management manual §9.1),
//! which tools have known for ever.

/// The columns with their names.
macro_rules! columns {
    ($($column:ident = $name:literal,)*) => {
        /// A column of a line of statistics.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Column {
            $(#[doc = concat!("`", $name, "`")] $column,)*
        }

        /// The names of all columns, in their order.
        pub const COLUMNS: &[&str] = &[$($name),*];
    };
}

columns! {
    Pxname = "pxname", Svname = "svname", Qcur = "qcur", Qmax = "qmax", Scur = "scur", Smax = "smax",
    Slim = "slim", Stot = "stot", Bin = "bin", Bout = "bout", Dreq = "dreq", Dresp = "dresp", Ereq = "ereq",
    Econ = "econ", Eresp = "eresp", Wretr = "wretr", Wredis = "wredis", Status = "status", Weight = "weight",
    Act = "act", Bck = "bck", Chkfail = "chkfail", Chkdown = "chkdown", Lastchg = "lastchg",
    Downtime = "downtime", Qlimit = "qlimit", Pid = "pid", Iid = "iid", Sid = "sid", Throttle = "throttle",
    Lbtot = "lbtot", Tracked = "tracked", Type = "type", Rate = "rate", RateLim = "rate_lim",
    RateMax = "rate_max", CheckStatus = "check_status", CheckCode = "check_code",
    CheckDuration = "check_duration", Hrsp1xx = "hrsp_1xx", Hrsp2xx = "hrsp_2xx", Hrsp3xx = "hrsp_3xx",
    Hrsp4xx = "hrsp_4xx", Hrsp5xx = "hrsp_5xx", HrspOther = "hrsp_other", Hanafail = "hanafail",
    ReqRate = "req_rate", ReqRateMax = "req_rate_max", ReqTot = "req_tot", CliAbrt = "cli_abrt",
    SrvAbrt = "srv_abrt", CompIn = "comp_in", CompOut = "comp_out", CompByp = "comp_byp", CompRsp = "comp_rsp",
    Lastsess = "lastsess", LastChk = "last_chk", LastAgt = "last_agt", Qtime = "qtime", Ctime = "ctime",
    Rtime = "rtime", Ttime = "ttime", AgentStatus = "agent_status", AgentCode = "agent_code",
    AgentDuration = "agent_duration", CheckDesc = "check_desc", AgentDesc = "agent_desc",
    CheckRise = "check_rise", CheckFall = "check_fall", CheckHealth = "check_health", AgentRise = "agent_rise",
    AgentFall = "agent_fall", AgentHealth = "agent_health", Addr = "addr", Cookie = "cookie", Mode = "mode",
    Algo = "algo", ConnRate = "conn_rate", ConnRateMax = "conn_rate_max", ConnTot = "conn_tot",
    Intercepted = "intercepted", Dcon = "dcon", Dses = "dses", Wrew = "wrew", Connect = "connect",
    Reuse = "reuse", CacheLookups = "cache_lookups", CacheHits = "cache_hits", SrvIcur = "srv_icur",
    SrcIlim = "src_ilim", QtimeMax = "qtime_max", CtimeMax = "ctime_max", RtimeMax = "rtime_max",
    TtimeMax = "ttime_max", Eint = "eint", IdleConnCur = "idle_conn_cur", SafeConnCur = "safe_conn_cur",
    UsedConnCur = "used_conn_cur", NeedConnEst = "need_conn_est", Uweight = "uweight",
}

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// The column says nothing of this line's kind.
    #[default]
    Nothing,
    /// A number.
    Number(u64),
    /// A word.
    Text(String),
}

/// A line: a value for each column.
pub struct Row(Vec<Value>);

impl Default for Row {
    /// One in which nothing is said.
    fn default() -> Self {
        Self(vec![Value::Nothing; COLUMNS.len()])
    }
}

impl Row {
    /// Sets numbers.
    pub fn numbers(&mut self, numbers: &[(Column, u64)]) {
        numbers.iter().for_each(|(column, number)| self.set(*column, Value::Number(*number)));
    }

    /// Sets a word.
    pub fn text(&mut self, column: Column, text: &str) {
        self.set(column, Value::Text(text.to_owned()));
    }

    fn set(&mut self, column: Column, value: Value) {
        if let Some(cell) = self.0.get_mut(column as usize) {
            *cell = value;
        }
    }

    /// The value of a column.
    pub fn get(&self, column: Column) -> &Value {
        self.0.get(column as usize).unwrap_or(&Value::Nothing)
    }

    /// All values, in the order of [`COLUMNS`].
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

/// How a server is (management manual, "show servers state").
pub struct ServerState {
    /// `be_id`, `be_name`.
    pub backend: (u32, String),
    /// `srv_id`, `srv_name`.
    pub server: (u32, String),
    /// `srv_addr`: an address, or a unix socket's path.
    pub address: String,
    /// `srv_port`.
    pub port: u16,
    /// `srv_fqdn`: the host name, where it has one.
    pub host: Option<String>,
    /// `srv_op_state`: 0 stopped, 1 starting, 2 running, 3 stopping.
    pub operation: u8,
    /// `srv_admin_state`: a mask; 4 = its line says `disabled`.
    pub administration: u8,
    /// `srv_uweight`.
    pub weight: u32,
    /// `srv_iweight`.
    pub initial_weight: u32,
    /// `srv_time_since_last_change`, milliseconds.
    pub unchanged_ms: u64,
    /// `srv_check_status`, by its name (`L4OK`, …); `None` = no check was made yet.
    pub check_status: Option<&'static str>,
    /// `srv_check_health`.
    pub check_health: u32,
    /// The same of its agent, where it has one.
    pub agent_health: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let mut row = Row::default();
        row.text(Column::Pxname, "web");
        row.numbers(&[(Column::Scur, 3), (Column::Uweight, 256)]);
        assert_eq!(row.values().len(), COLUMNS.len());
        assert_eq!(row.get(Column::Pxname), &Value::Text("web".into()));
        assert_eq!(
            (row.get(Column::Scur), row.values().last()),
            (&Value::Number(3), Some(&Value::Number(256)))
        );
        assert_eq!(row.get(Column::Qcur), &Value::Nothing);
    }

    #[test]
    fn columns_have_the_numbers_that_the_manual_gives_them() {
        let known =
            [(0, "pxname"), (17, "status"), (33, "rate"), (55, "lastsess"), (73, "addr"), (99, "uweight")];
        for (number, name) in known {
            assert_eq!(COLUMNS[number], name);
        }
        assert_eq!(COLUMNS.len(), 100);
    }
}
